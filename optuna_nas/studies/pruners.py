"""Optuna's pruners by name."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.pruners import BasePruner

from optuna_nas.metrics import Metric


PRUNERS = ("none", "median", "successive-halving", "hyperband")
"""Names of the pruners."""


def make_pruner(name: str, *, epochs: int, objectives: Sequence[Metric]) -> BasePruner:
    """Return the pruner with a name.

    Args:
        name: Of :data:`PRUNERS`.
        epochs: Epochs of a trial.
        objectives: The metrics to optimise.

    Raises:
        ValueError: If the name is unknown, or the objectives cannot be pruned.
    """
    if name not in PRUNERS:
        raise ValueError(
            f"Expected argument `pruner` to be one of {', '.join(PRUNERS)} but got {name!r}."
        )
    if name == "none":
        return optuna.pruners.NopPruner()
    if len(objectives) != 1 or objectives[0].source != "trained":
        raise ValueError(
            "Expected argument `pruner` to be none unless there is a single objective that is "
            "trained, as only then there is something to compare after each epoch, but got "
            f"{name}."
        )
    if name == "median":
        return optuna.pruners.MedianPruner()
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(max_resource=epochs)
    return optuna.pruners.SuccessiveHalvingPruner()
