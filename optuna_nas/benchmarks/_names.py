"""Names of benchmarks for the command line, e.g. ``nasbench201:cifar10``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from optuna_nas.benchmarks._nas_bench_201 import NASBench201


BENCHMARKS: dict[str, Callable[..., NASBench201]] = {"nasbench201": NASBench201}
"""The benchmarks by the part of the name before the colon."""


def is_benchmark_name(name: str) -> bool:
    """Tell whether ``name`` asks for a benchmark, as opposed to data to train on."""
    return name.partition(":")[0].lower() in BENCHMARKS


def from_name(name: str, *, accuracy_seed: int | Literal["mean"] = 0) -> NASBench201:
    """Make the benchmark with a name of the form ``table:dataset``.

    Args:
        name: E.g. ``nasbench201:cifar10``, ``nasbench201:cifar100`` or
            ``nasbench201:imagenet16-120``.
        accuracy_seed: See :class:`NASBench201`.

    Raises:
        ValueError: If there is no such table or data set.
        ImportError: If the package with the table is not installed.
    """
    table, _, dataset = name.partition(":")
    if not is_benchmark_name(name) or not dataset:
        raise ValueError(
            f"Expected argument `name` to be one of {list(BENCHMARKS)}, a colon and a data set, "
            f"as in nasbench201:cifar10, but got {name!r}."
        )
    return BENCHMARKS[table.lower()](dataset, accuracy_seed=accuracy_seed)
