"""Checks of what an evaluator is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import pytorch_lightning as pl

from lightning_modules.costs.meter import COST_METRICS
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.training._follower import TRAINED_METRICS
from optuna_nas import Architecture


def check_metrics(metrics: Sequence[str], datamodule: pl.LightningDataModule) -> None:
    """Raise a ValueError if a metric is unknown, or needs validation data that are not there."""
    known = (*TRAINED_METRICS, *COST_METRICS)
    if isinstance(metrics, str) or not metrics or not set(metrics) <= set(known):
        raise ValueError(
            f"Expected argument `metrics` to be names of {list(known)} but got {metrics!r}."
        )
    trained = sorted(set(metrics) & set(TRAINED_METRICS))
    if trained and getattr(datamodule, "train_on_validation", False):
        raise ValueError(
            "Expected argument `datamodule` to have a validation split, as the metrics "
            f"{trained} need it, but got one with `train_on_validation`."
        )


def check_limits(max_epochs: int, max_steps: int, patience: int | None) -> None:
    """Raise a ValueError if a limit of the training is out of its range."""
    if max_epochs < 1:
        raise ValueError(f"Expected argument `max_epochs` to be at least 1 but got {max_epochs}.")
    if max_steps < 1 and max_steps != -1:
        raise ValueError(
            f"Expected argument `max_steps` to be at least 1, or -1, but got {max_steps}."
        )
    if patience is not None and patience < 1:
        raise ValueError(
            "Expected argument `early_stopping_patience` to be at least 1, or None, "
            f"but got {patience}."
        )


def check_supernet(supernet: Supernet, architecture: Architecture) -> None:
    """Raise a ValueError if a supernet is not of the space of an architecture."""
    if supernet.space.name != architecture.space:
        raise ValueError(
            "Expected argument `inherit_weights` to be a supernet of search space "
            f"`{architecture.space}` but got one of `{supernet.space.name}`."
        )
