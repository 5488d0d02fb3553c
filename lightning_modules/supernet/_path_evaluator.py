"""What a stage measures of a path: its loss with the shared weights, and a zero-cost proxy."""

from __future__ import annotations

import pytorch_lightning as pl

from lightning_modules.proxies import ProxyEvaluator
from lightning_modules.supernet._evaluate import SupernetEvaluator
from lightning_modules.supernet._supernet import Supernet
from optuna_nas import Architecture
from optuna_nas import Evaluation


class PathEvaluator:
    """Scores a path with the weights of the supernet, and by a proxy without them.

    Args:
        supernet: The trained supernet.
        datamodule: A data module, set up; its test split is not used.
        proxy: A name of :data:`~lightning_modules.registries.PROXIES`, or None.
        seed: Seed of the samples that are drawn and of the proxy's initial weights, at least 0.
    """

    def __init__(
        self,
        supernet: Supernet,
        datamodule: pl.LightningDataModule,
        *,
        proxy: str | None,
        seed: int,
    ) -> None:
        metrics = list(dict.fromkeys([supernet.task.primary(), "val_loss"]))
        self._shared = SupernetEvaluator.from_data(
            supernet, datamodule, metrics=metrics, seed=seed
        )
        self._untrained = (
            None
            if proxy is None
            else ProxyEvaluator(
                supernet.build,
                datamodule,
                task=supernet.task,
                metrics=[proxy],
                seed=seed,
                accelerator=next(supernet.parameters()).device.type,
            )
        )

    def __call__(self, architecture: Architecture) -> Evaluation:
        """Return ``val_loss``, the task's first metric and the proxy of a path."""
        metrics = dict(self._shared(architecture).metrics)
        if self._untrained is not None:
            metrics |= self._untrained(architecture).metrics
        return Evaluation(metrics)
