"""``optuna-nas search``: a study of trials, then the best network, trained, tested and saved."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import sys
from types import FrameType
from typing import Any

import optuna
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from rich.console import Console
from tqdm import tqdm

from lightning_modules import TrainingEvaluator
from lightning_modules.datamodules import InMemoryDataModule
from optuna_nas import recovery
from optuna_nas.cli import _studies
from optuna_nas.cli._data import open_data
from optuna_nas.cli._errors import CommandError
from optuna_nas.cli._finish import finish
from optuna_nas.cli._finish import Training
from optuna_nas.cli._parser import OBJECTIVES
from optuna_nas.cli._pick import knee
from optuna_nas.cli._spaces import named_space
from optuna_nas.cli._spaces import NamedSpace
from optuna_nas.cli._tables import describe_trial
from optuna_nas.cli._tables import front_of
from optuna_nas.cli._tables import print_front
from optuna_nas.objective import ArchitectureObjective
from optuna_nas.tracking import MLflowTracker


_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class _Search:
    study: optuna.Study
    objective: Callable[[optuna.Trial], float | tuple[float, ...]]
    objectives: Sequence[str]
    tracker: MLflowTracker
    n_trials: int
    timeout: float | None
    progress: bool

    def run(self) -> None:
        """Run trials until ``n_trials`` are finished, those of earlier runs included."""
        for trial in recovery.fail_abandoned_trials(self.study):
            print(f"trial {trial.number} was broken off by the end of its process; it is repeated")
        self.tracker.start(self.study)
        n_finished = len(self.study.get_trials(deepcopy=False, states=_FINISHED))
        if n_finished >= self.n_trials:
            print(f"The study {self.study.study_name!r} has {n_finished} finished trials.")
            return
        self.study.optimize(
            self.objective,
            n_trials=self.n_trials - n_finished,
            timeout=self.timeout,
            catch=(Exception,),
            callbacks=[
                self.tracker,
                self._print_trial,
                MaxTrialsCallback(self.n_trials, states=_FINISHED),
            ],
            show_progress_bar=self.progress,
        )

    def interrupted(self) -> None:
        """Leave no trial and no tracking run of this process running."""
        for trial in recovery.own_running_trials(self.study):
            recovery.fail(self.study, trial, "interrupted by the user")
        self.tracker.interrupt(self.study)

    def _print_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        tqdm.write(describe_trial(trial, self.objectives))


def search(
    *,
    data: str,
    space: str,
    sampler: str,
    objectives: Sequence[str],
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
    """Search, then train and save the best network; see ``optuna_nas.cli._options``."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    _check(objectives, n_trials, epochs, final_epochs, timeout)
    named = named_space(space, network)
    options = Training(named=named, data=data, **training)
    module = open_data(data, **options.data_arguments)
    evaluator = _evaluator(named, module, objectives, epochs, options)
    study_name = study_name or _studies.new_name(f"{Path(data).stem}-{Path(space).stem}")
    study = _studies.create_or_continue(
        _studies.open_storage(storage),
        study_name,
        _studies.make_sampler(sampler, seed=options.seed, space=named.space),
        objectives,
        {"data": data, "space": space, "network": dict(named.network), "epochs": epochs},
    )
    tracker = MLflowTracker(
        study_name,
        tracking_uri=tracking_uri,
        objectives=objectives,
        space=named.space,
        params={"data": data, "space": space, "sampler": sampler, "epochs": epochs},
    )
    objective = ArchitectureObjective(
        named.space,
        evaluator,
        objectives=objectives,
        observers=[recovery.WorkerMark(), tracker],
    )
    progress = sys.stderr.isatty() and "CI" not in os.environ
    job = _Search(study, objective, objectives, tracker, n_trials, timeout, progress)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        job.run()
        return _finish_best(job, options, pick, final_epochs or 3 * epochs, Path(output))
    except KeyboardInterrupt:
        job.interrupted()
        print(f"Interrupted. To go on: the same command with --study-name {study_name}")
        return 130
    finally:
        tracker.close(study)


def _finish_best(job: _Search, options: Training, pick: str, epochs: int, output: Path) -> int:
    console = Console()
    front = front_of(job.study)
    print_front(console, job.study, front, job.objectives)
    if not front:
        print("No trial completed, so there is no network to finish.", file=sys.stderr)
        return 1
    trial = knee(front, job.study.directions) if pick == "knee" else front[0]
    architecture = options.named.space.architecture(trial.params)
    folder = output / job.study.study_name
    test_accuracy, path = finish(
        architecture, options, epochs=epochs, folder=folder, progress=job.progress
    )
    if hasattr(job.tracker, "log_final"):
        job.tracker.log_final(job.study, trial.number, {"test_accuracy": test_accuracy}, path)
    print(f"study: {job.study.study_name}")
    return 0


def _evaluator(
    named: NamedSpace,
    module: InMemoryDataModule,
    objectives: Sequence[str],
    epochs: int,
    options: Training,
) -> TrainingEvaluator:
    metrics = list(dict.fromkeys([*objectives, "params"]))
    try:
        return TrainingEvaluator(
            named.builder(module.input_shape, module.num_classes),
            module,
            metrics=metrics,
            max_epochs=epochs,
            **options.trainer_arguments,
        )
    except ValueError as error:
        raise CommandError(str(error)) from error


def _check(
    objectives: Sequence[str],
    n_trials: int,
    epochs: int,
    final_epochs: int | None,
    timeout: float | None,
) -> None:
    unknown = [name for name in objectives if name not in OBJECTIVES]
    if unknown or len(set(objectives)) != len(objectives):
        raise CommandError(
            f"Expected option --objectives to be different names of {', '.join(OBJECTIVES)} "
            f"but got {' '.join(objectives)}."
        )
    for option, value in [("n-trials", n_trials), ("epochs", epochs)]:
        if value < 1:
            raise CommandError(f"Expected option --{option} to be at least 1 but got {value}.")
    if final_epochs is not None and final_epochs < 1:
        raise CommandError(
            f"Expected option --final-epochs to be at least 1 but got {final_epochs}."
        )
    if timeout is not None and timeout <= 0:
        raise CommandError(f"Expected option --timeout to be above 0 but got {timeout}.")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
