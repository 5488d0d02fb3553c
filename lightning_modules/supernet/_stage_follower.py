"""What a supernet stage does after each epoch: report it, check it, and keep the state."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from lightning_modules.training.trainer import scalar_metrics


EpochReport = Callable[[int, Mapping[str, float]], None]
"""Called with an epoch, counted from 0, and the values measured in it."""


class StageFollower(Checkpoint):
    """Ends a training whose loss is not finite, hands each epoch's values on, keeps the state.

    As a checkpoint callback it comes after all that is logged in an epoch. Unlike Lightning's own
    it replaces its file by a renaming in the same folder, so that a process may be killed at any
    time, and has nothing to say about a folder that is not empty.

    Args:
        report: Told of the values of each epoch.
        path: Where to keep the state of the last finished epoch.
    """

    def __init__(self, report: EpochReport | None, path: Path | None) -> None:
        self._report = report
        self._path = path

    def __getstate__(self) -> dict[str, Any]:
        # On the way to the processes of "ddp_spawn", which could not use it.
        return {**self.__dict__, "_report": None}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check, report and save."""
        values = scalar_metrics(trainer)
        loss = values.get("supernet_loss", 0.0)
        if not math.isfinite(loss):
            raise RuntimeError(
                f"The supernet's training diverged: the loss of epoch {trainer.current_epoch} is "
                f"{loss}; a smaller learning rate may help."
            )
        if self._report is not None:
            self._report(trainer.current_epoch, values)
        if self._path is not None:
            temporary = self._path.with_name(f".{self._path.name}.tmp")
            trainer.save_checkpoint(temporary, weights_only=False)
            if trainer.is_global_zero:
                temporary.replace(self._path)
