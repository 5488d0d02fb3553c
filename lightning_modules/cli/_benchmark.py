"""``optuna-nas search --data nasbench201:...``: a search that looks its results up; no torch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from lightning_modules.cli._reporter import Printer
from lightning_modules.search.settings import NONE
from lightning_modules.search.settings import SearchSettings
from optuna_nas.benchmarks import from_name
from optuna_nas.constraints import parse_constraints
from optuna_nas.constraints import require_kept
from optuna_nas.metrics import METRICS
from optuna_nas.samplers import make_sampler
from optuna_nas.spaces import Architecture
from optuna_nas.studies.run import show_progress
from optuna_nas.studies.run import StudyRun
from optuna_nas.studies.storages import new_name


_UNTRAINED = ("params", "latency_ms")
"""Metrics of the table that are known before training."""


def search_benchmark(options: SearchSettings) -> int:
    """Search in a published table; options of the training have no meaning here."""
    data = options.data
    benchmark = from_name(data)
    if options.space != benchmark.space.name:
        raise ValueError(
            f"Expected argument `space` to be {benchmark.space.name} for {data} but got "
            f"{options.space!r}."
        )
    for name, given, why in [
        ("latency_table", options.latency_table, "has its own latencies"),
        ("supernet", None if options.supernet == NONE else options.supernet, "has no images"),
    ]:
        if given is not None:
            raise ValueError(
                f"Expected no argument `{name}` for {data}, which {why}, but got {given!r}."
            )
    if options.n_trials < 1:
        raise ValueError(
            f"Expected argument `n_trials` to be at least 1 but got {options.n_trials}."
        )
    known = list(benchmark.metrics)
    objectives = [METRICS.parse(text) for text in options.objectives or [known[0]]]
    names = [metric.name for metric in objectives]
    if not set(names) <= set(known) or len(set(names)) < len(names):
        raise ValueError(
            f"Expected argument `objectives` to be different names of {', '.join(known)} but got "
            f"{' '.join(names)}."
        )
    bounds = parse_constraints(options.constraint, known)
    constraints = [
        bound.with_function(partial(_value_of, benchmark, bound.metric))
        if bound.metric in _UNTRAINED
        else bound
        for bound in bounds
    ]
    cheap = [bound for bound in constraints if bound.is_cheap]
    require_kept(benchmark.space, cheap, np.random.default_rng(options.seed))
    settings = {"data": data, "space": options.space, "constraint": sorted(map(str, bounds))}
    run = StudyRun(
        benchmark.space,
        benchmark,
        objectives,
        make_sampler(options.sampler, seed=options.seed, space=benchmark.space, constraints=cheap),
        constraints=constraints,
        storage=options.storage,
        study_name=options.study_name or new_name(data.replace(":", "-")),
        tracking_uri=options.tracking_uri,
        settings=settings,
        params={**settings, "sampler": options.sampler},
        n_trials=options.n_trials,
        timeout=options.timeout,
        progress=show_progress(),
        reporter=Printer(),
    )
    try:
        with run.open():
            front = run.run()
    except KeyboardInterrupt:
        return 130
    print(f"study: {run.study.study_name}")
    return 0 if front else 1


def _value_of(benchmark: Any, metric: str, architecture: Architecture) -> float:
    return float(benchmark(architecture)[metric])
