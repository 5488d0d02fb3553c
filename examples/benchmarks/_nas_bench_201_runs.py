"""Runs searches on NAS-Bench-201, one after another or in several processes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import as_completed
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
import os
import time
from typing import Literal
import warnings

from _nas_bench_201_samplers import Factory
from _nas_bench_201_samplers import SAMPLERS
import optuna

from optuna_nas import ArchitectureObjective
from optuna_nas.benchmarks import NASBench201


N_ACCURACY_SEEDS = 3
DIRECTIONS: dict[str, Literal["maximize", "minimize"]] = {
    "val_accuracy": "maximize",
    "latency_ms": "minimize",
}
"""The objectives of a search with two; a search with one has the first."""


@dataclass(frozen=True)
class Job:
    """One search.

    Args:
        sampler: Name of the sampler.
        dataset: Name of the data set.
        seed: Seed of the sampler; ``seed % 3`` is the training run whose accuracy the search sees.
        n_trials: Number of evaluations.
        n_objectives: 1 (accuracy) or 2 (accuracy and latency).
    """

    sampler: str
    dataset: str
    seed: int
    n_trials: int
    n_objectives: int


@dataclass(frozen=True)
class Run:
    """What a search did.

    Args:
        job: The search.
        rows: Row of the table of each trial's architecture, in the order of the trials.
        seconds: Wall-clock of the whole search, in s.
    """

    job: Job
    rows: tuple[int, ...]
    seconds: float


@cache
def _benchmark(dataset: str, accuracy_seed: int) -> NASBench201:
    return NASBench201(dataset, accuracy_seed=accuracy_seed)


def execute(
    job: Job,
    make: Factory | None = None,
    prepare: Callable[[optuna.Study], object] | None = None,
) -> Run:
    """Search once, with a sampler of the benchmark or with what ``make`` makes.

    Args:
        job: The search.
        make: Makes the sampler.
        prepare: Called with the study before its first trial.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    benchmark = _benchmark(job.dataset, job.seed % N_ACCURACY_SEEDS)
    objectives = list(DIRECTIONS)[: job.n_objectives]
    objective = ArchitectureObjective(benchmark.space, benchmark, objectives=objectives)
    start = time.perf_counter()
    try:
        study = optuna.create_study(
            directions=[DIRECTIONS[name] for name in objectives],
            sampler=(make or SAMPLERS[job.sampler])(job.seed, benchmark.space),
        )
        if prepare is not None:
            prepare(study)
        study.optimize(objective, n_trials=job.n_trials)
    except Exception as error:
        raise RuntimeError(f"This search failed: {job}") from error
    seconds = time.perf_counter() - start
    space = benchmark.space
    rows = [benchmark.index(space.architecture(trial.params)) for trial in study.trials]
    return Run(job, tuple(rows), seconds)


def execute_all(
    jobs: Sequence[Job], n_processes: int, makers: Mapping[str, Factory] | None = None
) -> Iterator[Run]:
    """Search many times in new processes with one thread each; runs come as they finish.

    Args:
        jobs: The searches.
        n_processes: Number of processes.
        makers: What makes samplers that are not of the benchmark, by their names.
    """
    makers = makers or {}
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # Inherited; more threads would be slower.
    pool = ProcessPoolExecutor(n_processes, mp_context=get_context("spawn"))
    try:
        for future in as_completed(
            [pool.submit(execute, job, makers.get(job.sampler)) for job in jobs]
        ):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
