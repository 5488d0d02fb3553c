"""One training inside a search: followed by epochs, stopped early, and judged by one epoch."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import copy
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import pytorch_lightning as pl

from lightning_modules._checks import check_at_least
from lightning_modules.training._follower import DivergenceGuard
from lightning_modules.training._follower import EpochFollower
from lightning_modules.training._follower import require_logged
from lightning_modules.training.trainer import make_trainer
from lightning_modules.training.trainer import quiet
from lightning_modules.training.trainer import release
from lightning_modules.training.trainer import run_trainer
from lightning_modules.training.trainer import scalar_metrics
from optuna_nas.evaluation import Report
from optuna_nas.metrics import Metric


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How the modules of a search are trained.

    Args:
        wanted: Names of the values that a training has to log.
        max_epochs: Largest number of epochs.
        max_steps: Largest number of optimizer steps, -1 for no limit.
        patience: Stop after so many epochs without a better value of ``monitor``; None for no
            early stopping.
        monitor: What early stopping looks at.
        arguments: More arguments of :class:`pytorch_lightning.Trainer`.

    Raises:
        ValueError: If a limit is out of its range.
    """

    wanted: Sequence[str]
    max_epochs: int
    max_steps: int
    patience: int | None
    monitor: Metric | None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_at_least("max_epochs", self.max_epochs, 1)
        if self.max_steps < 1 and self.max_steps != -1:
            raise ValueError(
                f"Expected argument `max_steps` to be at least 1, or -1, but got {self.max_steps}."
            )
        if self.patience is not None and self.patience < 1:
            raise ValueError(
                "Expected argument `early_stopping_patience` to be at least 1, or None, "
                f"but got {self.patience}."
            )

    def run(
        self,
        module: pl.LightningModule,
        datamodule: pl.LightningDataModule,
        report: Report | None = None,
    ) -> Mapping[str, float]:
        """Train a module, which is of no use afterwards.

        Args:
            module: The module.
            datamodule: The data, which has been set up; a shallow copy is used.
            report: Told of each epoch and all that the module logged in it.

        Returns:
            What was logged in the last epoch or, with early stopping, in the best one.

        Raises:
            RuntimeError: If the training diverged.
            ValueError: If a wanted value was not logged.
        """
        follower = EpochFollower(report, self.max_steps, self.wanted)
        if self.patience is not None:
            follower = EpochFollower(
                report, self.max_steps, self.wanted, self.monitor, self.patience
            )
        with quiet():
            trainer = make_trainer(
                callbacks=[DivergenceGuard(), follower],
                max_epochs=self.max_epochs,
                max_steps=self.max_steps,
                **self.arguments,
            )
            try:
                run_trainer(trainer.fit, module, datamodule=copy.copy(datamodule))
                last = scalar_metrics(trainer)
            finally:
                release(trainer, module)
        best = follower.best_epoch()
        if best is not None:
            return best
        require_logged(self.wanted, last)
        return last
