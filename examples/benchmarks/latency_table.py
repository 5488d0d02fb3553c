"""Latency tables: how well the sum over operations predicts the latency of whole networks.

    python examples/benchmarks/latency_table.py --space mobile-small

A table is measured on this CPU, then random architectures are built and measured end to end, each
in many short rounds over all of them. What else the machine does can only add to a latency, so of
the medians of the rounds the lowest counts, for the table as for the networks. Printed are
Spearman's rank correlation of predicted and measured latency and the error, as it is and after the
best common factor, which stands for what a whole network has over its parts measured alone.
"""

from __future__ import annotations

from collections.abc import Callable
import sys
from typing import Any

from jsonargparse import ArgumentParser
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import spearmanr
import torch

from lightning_modules import as_kit
from lightning_modules import Build
from lightning_modules import Classification
from lightning_modules import LatencyTable
from lightning_modules import measure_latency_ms
from lightning_modules import profile_latency
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace


SMALL = {"input_shape": (1, 28, 28)}
CIFAR = {"input_shape": (3, 32, 32)}
IMAGENET = {"input_shape": (3, 224, 224)}

SPACES: dict[str, tuple[Callable[[], SearchSpace], int, dict[str, Any]]] = {
    "mobile-small": (MobileSpace.small, 10, SMALL),
    "fbnet": (MobileSpace.fbnet, 1000, IMAGENET),
    "mobilenet-v3": (MobileSpace.mobilenet_v3, 1000, IMAGENET),
    "efficientnet": (MobileSpace.efficientnet, 1000, IMAGENET),
    "cell": (CellSpace, 10, {**CIFAR, "cells_per_stage": 1}),
    "chain": (ChainSpace, 10, SMALL),
    "darts": (DartsSpace, 10, {**CIFAR, "cells": 6, "channels": 8}),
}
"""Spaces, numbers of classes, and arguments of their backbones."""


def shown(items: Any, what: str) -> Any:
    """Return the items with a progress bar on a terminal."""
    console = Console(stderr=True)
    return track(items, what, console=console, transient=True, disable=not sys.stderr.isatty())


def measure_ms(
    architectures: list[Architecture],
    build: Build,
    input_shape: tuple[int, int, int],
    rounds: int,
    seconds: float,
) -> np.ndarray:
    """Return each architecture's latency in ms: the lowest of the rounds' medians."""
    measured = np.empty((rounds, len(architectures)))
    for i in shown(range(rounds), "rounds of whole networks"):
        for j, architecture in enumerate(architectures):
            measured[i, j] = measure_latency_ms(
                build(architecture), input_shape, threads=1, min_run_time=seconds
            )
    return measured.min(axis=0)


def print_errors(
    console: Console, name: str, table: LatencyTable, predicted: np.ndarray, measured: np.ndarray
) -> None:
    """Print correlation and errors."""
    factor = float(np.median(measured / predicted))
    rows = [("as it is", predicted), (f"times {factor:.3f}", factor * predicted)]
    report = Table(title=f"{name}: {len(measured)} random architectures, 1 thread, batch of 1")
    for column in ("prediction", "Spearman", "mean absolute error (ms)", "mean relative error"):
        report.add_column(column, justify="left" if column == "prediction" else "right")
    for label, values in rows:
        error = np.abs(values - measured)
        report.add_row(
            label,
            f"{spearmanr(values, measured).statistic:.3f}",
            f"{error.mean():.3f}",
            f"{(error / measured).mean():.1%}",
        )
    console.print(report)
    low, high = measured.min(), measured.max()
    n_operations = len({operation for _, operation in table.entries})
    print(f"Measured {low:.3f} to {high:.3f} ms; {n_operations} operations in the table.")


def main() -> None:
    """Measure the table and the networks, and print how they agree."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--space", choices=list(SPACES), default="mobile-small")
    parser.add_argument("--architectures", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=25, help="over all whole networks")
    parser.add_argument("--seconds", type=float, default=0.03, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="5 architectures, 1 short round")
    args = parser.parse_args()
    quick = {"rounds": 1, "min_run_time": 0.001} if args.quick else {}
    if args.quick:
        args.architectures, args.rounds, args.seconds = 5, 1, 0.001
    torch.set_num_threads(1)
    make_space, num_classes, network = SPACES[args.space]
    space, task = make_space(), Classification(num_classes)
    table = profile_latency(space, task=task, threads=1, **quick, **network)
    rng = np.random.default_rng(args.seed)
    architectures = [space.sample(rng) for _ in range(args.architectures)]
    predicted = np.array([table.predict_ms(architecture) for architecture in architectures])
    build = task.builder(as_kit(space).builder(**network))
    measured = measure_ms(architectures, build, network["input_shape"], args.rounds, args.seconds)
    console = Console(width=100)
    console.print(f"{table.settings['device_name']}, torch {table.settings['torch']}")
    print_errors(console, args.space, table, predicted, measured)


if __name__ == "__main__":
    main()
