"""Following a training epoch by epoch: what it logged, and whether it diverged."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math
import os
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_modules.training.trainer import scalar_metrics
from optuna_nas.evaluation import Report


class EpochFollower(pl.Callback):
    """Keeps and reports what the module logged in each epoch.

    Args:
        report: Told of each epoch.
        max_steps: Largest number of steps, -1 for no limit.
        wanted: What has to be among the logged values.
        monitor: What has to be there for early stopping.
    """

    def __init__(
        self,
        report: Report | None,
        max_steps: int,
        wanted: Sequence[str] = (),
        monitor: str | None = None,
    ) -> None:
        self.epochs: list[dict[str, float]] = []
        self._report = report
        self._max_steps = max_steps
        self._wanted = wanted
        self._monitor = monitor
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        # On the way to the processes of "ddp_spawn", which could not use it.
        return {**self.__dict__, "_report": None}

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Let validation follow the last of ``max_steps``, which may lie inside an epoch."""
        if 0 <= self._max_steps <= trainer.global_step:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep and report the epoch's values; validation comes before this hook."""
        logged = dict(scalar_metrics(trainer))
        require_logged(self._wanted, logged)
        require_logged([] if self._monitor is None else [self._monitor], logged, "monitor")
        self.epochs.append(logged)
        if self._report is not None and os.getpid() == self._process:
            self._report(trainer.current_epoch, logged)


def require_logged(
    wanted: Sequence[str], logged: Mapping[str, float], argument: str = "metrics"
) -> None:
    """Raise a ValueError unless all values that an argument names were logged."""
    missing = [name for name in wanted if name not in logged]
    if not missing:
        return
    if all(not name.startswith("val_") for name in logged) and missing[0].startswith("val_"):
        raise ValueError(
            f"Expected argument `datamodule` to have validation data for {missing[0]}, but "
            "nothing was logged in a validation."
        )
    costs = "cost metrics or " if argument == "metrics" else ""
    raise ValueError(
        f"Expected argument `{argument}` to be {costs}names that the module logs each epoch, "
        f"{sorted(logged)}, but got {missing[0]!r}."
    )


class DivergenceGuard(pl.Callback):
    """Ends a training whose loss is not finite, with the reason.

    The losses of an epoch are added up on their device and looked at once.
    """

    def __init__(self) -> None:
        self._total: Tensor | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *args: Any
    ) -> None:
        """Add the loss of a step, if the module returns it."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor) and loss.numel() == 1:
            loss = loss.detach()
            self._total = loss if self._total is None else self._total + loss

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the losses of the epoch."""
        total, self._total = self._total, None
        total = trainer.callback_metrics.get("train_loss", total)
        loss = 0.0 if total is None else float(torch.as_tensor(total))
        if not math.isfinite(loss):
            raise RuntimeError(
                f"The training diverged: the loss of epoch {trainer.current_epoch} is {loss}; "
                "a smaller learning rate may help."
            )
