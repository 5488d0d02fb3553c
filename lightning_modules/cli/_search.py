"""``optuna-nas search``: a study of trials, then the best network, trained, tested and saved."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import functools
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from rich.console import Console
from torch import nn

from lightning_modules import COST_METRICS
from lightning_modules import COUNTED_METRICS
from lightning_modules import LatencyTable
from lightning_modules import ProxyEvaluator
from lightning_modules import TrainingEvaluator
from lightning_modules.cli._constraints import checked_without_training
from lightning_modules.cli._constraints import parse_constraints
from lightning_modules.cli._constraints import require_kept
from lightning_modules.cli._data import open_data
from lightning_modules.cli._errors import as_command_error
from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._finish import check_output
from lightning_modules.cli._finish import finish
from lightning_modules.cli._finish import Training
from lightning_modules.cli._latency import describe
from lightning_modules.cli._latency import LATENCY
from lightning_modules.cli._latency import PredictedLatency
from lightning_modules.cli._latency import read_table
from lightning_modules.cli._parser import OBJECTIVES
from lightning_modules.cli._search_stage import ScoredBySupernet
from lightning_modules.cli._search_stage import SearchStage
from lightning_modules.cli._spaces import named_space
from lightning_modules.cli._stage_options import NONE
from lightning_modules.cli._stage_options import StageOptions
from lightning_modules.cli._tables import front_of
from lightning_modules.cli._tables import print_front
from lightning_modules.data import ImageDataModule
from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace
from optuna_nas.studies import runner as _runner
from optuna_nas.studies import storages as _studies
from optuna_nas.studies.pick import knee
from optuna_nas.studies.runner import SearchRun


_N_REFERENCES = 64
"""Random architectures among which several proxies rank those of a search."""


def search(
    *,
    data: str,
    space: str,
    sampler: str,
    objectives: Sequence[str],
    constraint: Sequence[str],
    pruner: str,
    screen: Sequence[str],
    pool: int,
    supernet: str,
    supernet_epochs: int | None,
    supernet_paths: int,
    supernet_proxy: str,
    supernet_folder: str | None,
    inherit_weights: bool,
    evaluate: str,
    latency_table: str | None,
    n_trials: int,
    timeout: float | None,
    epochs: int,
    final_epochs: int | None,
    pick: str,
    storage: str,
    study_name: str | None,
    tracking_uri: str,
    output: str,
    network: dict[str, int] | None,
    **training: Any,
) -> int:
    """Search, then train and save the best network; see ``lightning_modules.cli._options``."""
    _runner.check_options(objectives, n_trials, epochs, final_epochs, timeout, OBJECTIVES)
    bounds = parse_constraints(constraint, OBJECTIVES)
    wanted = [*objectives, *(bound.metric for bound in bounds)]
    _check_use_of(latency_table, wanted)
    choice = StageOptions(
        supernet,
        supernet_epochs,
        supernet_paths,
        supernet_proxy,
        inherit_weights,
        evaluate,
        supernet_folder,
    )
    choice.check(pruner)
    check_output(Path(output, study_name or ""))
    if choice.folder is not None:
        check_output(choice.folder, "--supernet-folder")
    named = named_space(space, network)
    options = Training(named=named, data=data, **training)
    module = open_data(data, **options.data_arguments)
    build = named.builder(module.input_shape, module.num_classes)
    table, source = _read_latencies(latency_table, options, module)
    metrics = [name for name in (*wanted, "params") if table is None or name != LATENCY]
    trainer = _evaluator(build, module, metrics, epochs, options)
    scorer = ScoredBySupernet(trainer) if evaluate == "supernet" else None
    evaluator = scorer or trainer
    measured = evaluator if table is None else PredictedLatency(evaluator, table)
    constraints = checked_without_training(bounds, COST_METRICS, measured.cost)
    counted = COUNTED_METRICS if table is None else (*COUNTED_METRICS, LATENCY)
    cheap = [bound for bound in constraints if bound.metric in counted]
    require_kept(named.space, cheap, options.seed)
    strategy = functools.partial(
        _strategy,
        sampler,
        seed=options.seed,
        space=named.space,
        constraints=cheap,
        score=_proxy_score(screen, build, module, options) if screen else None,
        pool=pool,
    )
    stage = None
    if supernet != NONE:
        stage = SearchStage(
            choice,
            options,
            module,
            table=table,
            output=Path(output),
            strategy=strategy,
            knows_prior=_studies.knows_prior(sampler),
            evaluator=trainer,
            scorer=scorer,
        )
    settings = {
        "data": data,
        "space": space,
        "network": dict(named.network),
        "epochs": epochs,
        "constraint": sorted(map(str, constraints)),
        "latency_table": source,
        **({} if options.image_size is None else {"image_size": options.image_size}),
        **choice.settings,
    }
    shown = {k: v for k, v in settings.items() if v is not None or k not in choice.settings}
    run = SearchRun.make(
        named.space,
        measured,
        objectives=objectives,
        constraints=[*constraints, trainer.memory_constraint()],
        sampler=strategy(),
        pruner=_studies.make_pruner(pruner, epochs=epochs, objectives=objectives),
        storage=storage,
        study_name=study_name or _studies.new_name(f"{Path(data).stem}-{Path(space).stem}"),
        tracking_uri=tracking_uri,
        settings=settings,
        params={**shown, "sampler": sampler, "pruner": pruner, "screen": list(screen)},
        n_trials=n_trials,
        timeout=timeout,
    )
    return run.complete(
        functools.partial(
            _finish_best,
            options=options,
            pick=pick,
            epochs=final_epochs or 3 * epochs,
            output=Path(output),
        ),
        stage,
    )


def _check_use_of(latency_table: str | None, metrics: Sequence[str]) -> None:
    """Raise a CommandError if there is a table but no latency among the metrics."""
    if latency_table is not None and LATENCY not in metrics:
        raise CommandError(
            f"Expected option --latency-table only with {LATENCY} as an objective or in a "
            f"constraint but got {latency_table!r} for {' '.join(dict.fromkeys(metrics))}."
        )


def _read_latencies(
    path: str | None, options: Training, module: ImageDataModule
) -> tuple[LatencyTable | None, str | None]:
    """Return the table of ``--latency-table``, and in words where it comes from."""
    if path is None:
        return None, None
    table = read_table(
        path,
        options.named.space,
        input_shape=module.input_shape,
        num_classes=module.num_classes,
        **options.named.network,
    )
    return table, describe(path, table)


def _strategy(
    name: str,
    prior: Prior | None = None,
    *,
    seed: int,
    space: SearchSpace,
    constraints: Sequence[Constraint],
    score: Callable[[Architecture], float] | None,
    pool: int,
) -> optuna.samplers.BaseSampler:
    """Return the sampler, which screens its proposals if there is a score."""
    sampler = _studies.make_sampler(
        name, seed=seed, space=space, constraints=constraints, prior=prior
    )
    if score is None:
        return sampler
    return _studies.make_screening(
        sampler, score, pool=pool, seed=seed, space=space, constraints=constraints
    )


def _proxy_score(
    names: Sequence[str],
    build: Callable[[Architecture], nn.Module],
    module: ImageDataModule,
    options: Training,
) -> Callable[[Architecture], float]:
    """Return the score of architectures by one proxy, or by the mean rank of several."""
    try:
        evaluator = ProxyEvaluator(
            build, module, metrics=names, seed=options.seed, accelerator=options.accelerator
        )
    except ValueError as error:
        raise CommandError(str(error).replace("argument `metrics`", "option --screen")) from error
    if len(names) == 1:
        return evaluator.score(names[0])
    rng = np.random.default_rng(options.seed)
    reference = [options.named.space.sample(rng) for _ in range(_N_REFERENCES)]
    return evaluator.rank_score(names, reference)


def _finish_best(
    run: SearchRun, *, options: Training, pick: str, epochs: int, output: Path
) -> int:
    front = front_of(run.study)
    print_front(Console(), run.study, front, run.objectives)
    if not front:
        return 1
    trial = knee(front, run.study.directions) if pick == "knee" else front[0]
    architecture = options.named.space.architecture(trial.params)
    folder = output / run.study.study_name
    test_accuracy, path = finish(
        architecture, options, epochs=epochs, folder=folder, progress=run.progress
    )
    run.tracker.log_final(run.study, trial.number, {"test_accuracy": test_accuracy}, path)
    print(f"study: {run.study.study_name}")
    return 0


def _evaluator(
    build: Callable[[Architecture], nn.Module],
    module: ImageDataModule,
    metrics: Sequence[str],
    epochs: int,
    options: Training,
) -> TrainingEvaluator:
    try:
        return TrainingEvaluator(
            build,
            module,
            metrics=list(dict.fromkeys(metrics)),
            max_epochs=epochs,
            **options.trainer_arguments,
        )
    except ValueError as error:
        raise as_command_error(error) from error
