"""``optuna-nas search --data nasbench201:...``: a search that looks its results up; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from lightning_modules.cli._constraints import checked_without_training
from lightning_modules.cli._constraints import parse_constraints
from lightning_modules.cli._constraints import require_kept
from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._tables import front_of
from lightning_modules.cli._tables import print_front
from optuna_nas.benchmarks import from_name
from optuna_nas.studies import runner as _runner
from optuna_nas.studies import storages as _studies
from optuna_nas.studies.runner import SearchRun


_UNTRAINED = ("params", "latency_ms")
"""Metrics of the table that are known before training."""


def search_benchmark(
    *,
    data: str,
    space: str,
    sampler: str,
    objectives: Sequence[str],
    constraint: Sequence[str],
    supernet: str,
    latency_table: str | None,
    n_trials: int,
    timeout: float | None,
    storage: str,
    study_name: str | None,
    tracking_uri: str,
    seed: int,
    **_: Any,
) -> int:
    """Search in a published table; options of the training have no meaning here."""
    try:
        benchmark = from_name(data)
    except (ValueError, ImportError) as error:
        raise CommandError(str(error)) from error
    if space != benchmark.space.name:
        raise CommandError(
            f"Expected option --space to be {benchmark.space.name} for {data} but got {space!r}."
        )
    if latency_table is not None:
        raise CommandError(
            f"Expected no option --latency-table for {data}, which has its own latencies, but got "
            f"{latency_table!r}."
        )
    if supernet != "none":
        raise CommandError(
            f"Expected no option --supernet for {data}, which has no images, but got {supernet!r}."
        )
    _runner.check_options(objectives, n_trials, 1, None, timeout, list(benchmark.metrics))
    bounds = parse_constraints(constraint, list(benchmark.metrics))
    constraints = checked_without_training(
        bounds, _UNTRAINED, lambda metric, architecture: benchmark(architecture)[metric]
    )
    cheap = [bound for bound in constraints if bound.is_cheap]
    require_kept(benchmark.space, cheap, seed)
    settings = {"data": data, "space": space, "constraint": sorted(map(str, bounds))}
    run = SearchRun.make(
        benchmark.space,
        benchmark,
        objectives=objectives,
        constraints=constraints,
        sampler=_studies.make_sampler(
            sampler,
            seed=seed,
            space=benchmark.space,
            constraints=cheap,
        ),
        storage=storage,
        study_name=study_name or _studies.new_name(data.replace(":", "-")),
        tracking_uri=tracking_uri,
        settings=settings,
        params={**settings, "sampler": sampler},
        n_trials=n_trials,
        timeout=timeout,
    )
    return run.complete(_show_front)


def _show_front(run: SearchRun) -> int:
    front = front_of(run.study)
    print_front(Console(), run.study, front, run.objectives)
    print(f"study: {run.study.study_name}")
    return 0 if front else 1
