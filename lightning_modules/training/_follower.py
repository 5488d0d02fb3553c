"""Following a training epoch by epoch: what it logged, and whether it diverged."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import math
import os
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
import torch
from torch import Tensor

from lightning_modules.training.trainer import scalar_metrics
from optuna_nas.evaluation import Report
from optuna_nas.metrics import Metric


# Callbacks of this type come after the module's own `on_train_epoch_end`, which may log, too.
class EpochFollower(EarlyStopping):
    """Keeps and reports what the module logged in each epoch, and stops the training early.

    Args:
        report: Told of each epoch.
        max_steps: Largest number of steps, -1 for no limit.
        wanted: What has to be among the logged values.
        monitor: What early stopping looks at; None for no early stopping.
        patience: Stop after so many epochs without a better value of ``monitor``.
    """

    def __init__(
        self,
        report: Report | None,
        max_steps: int,
        wanted: Sequence[str] = (),
        monitor: Metric | None = None,
        patience: int = 1,
    ) -> None:
        super().__init__(
            "" if monitor is None else monitor.name,
            mode="max" if monitor is not None and monitor.maximize else "min",
            patience=patience,
            check_on_train_epoch_end=True,
        )
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
        if self._monitor is not None:
            require_logged([self._monitor.name], logged, "monitor")
        self.epochs.append(logged)
        if self._report is not None and os.getpid() == self._process:
            self._report(trainer.current_epoch, logged)
        if self._monitor is not None:
            super().on_train_epoch_end(trainer, pl_module)

    def best_epoch(self) -> Mapping[str, float] | None:
        """Return the values of the epoch with the best ``monitor``, None without early stopping.

        In the processes of "ddp_spawn" the epochs are kept where nobody sees them: None as well.
        """
        monitor = self._monitor
        if monitor is None or not self.epochs:
            return None
        pick: Callable[..., Mapping[str, float]] = max if monitor.maximize else min
        return pick(self.epochs, key=lambda logged: logged[monitor.name])


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
        # What is logged may be the last step's, or, if the module logs later, of the last epoch.
        for value in (trainer.callback_metrics.get("train_loss"), total):
            loss = 0.0 if value is None else float(torch.as_tensor(value))
            if not math.isfinite(loss):
                raise RuntimeError(
                    f"The training diverged: the loss of epoch {trainer.current_epoch} is {loss}; "
                    "a smaller learning rate may help."
                )
