"""Following a training epoch by epoch."""

from __future__ import annotations

import os
from typing import Any

import pytorch_lightning as pl

from lightning_modules.training import trainer as _training
from optuna_nas.evaluation import Report


TRAINED_METRICS = ("val_accuracy", "val_loss", "train_loss")
"""Metrics that need training: accuracy in [0, 1], losses in nats."""


class EpochFollower(pl.Callback):
    """Keeps and reports the metrics of each epoch."""

    def __init__(self, report: Report | None, max_steps: int) -> None:
        self.epochs: list[dict[str, float]] = []
        self._report = report
        self._max_steps = max_steps
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        # On the way to the processes of "ddp_spawn", which could not use it.
        return {**self.__dict__, "_report": None}

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Let validation follow the last of ``max_steps``, which may lie inside an epoch."""
        if 0 <= self._max_steps <= trainer.global_step:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep and report the epoch's metrics; validation comes before this hook."""
        logged = _training.scalar_metrics(trainer)
        if "val_accuracy" not in logged:
            raise ValueError("Expected argument `datamodule` to have validation data.")
        metrics = {name: logged[name] for name in TRAINED_METRICS}
        self.epochs.append(metrics)
        if self._report is not None and os.getpid() == self._process:
            self._report(trainer.current_epoch, metrics)
