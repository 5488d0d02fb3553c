"""The training split in two: one part for the weights, one for the architecture."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.utilities import CombinedLoader
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Subset

from lightning_modules.datamodules._loader import EpochSampler


class SupernetDataModule(pl.LightningDataModule):
    """Wraps a data module: batches for weight steps and, from other images, architecture steps.

    A training batch is ``{"weights": batch, "architecture": batch}``; without a part for the
    architecture ``{"weights": batch}``. Both are batches of the wrapped data module's training
    loader, in a new random order each epoch that depends on the seed and the epoch alone. An epoch
    ends with the shorter part. The validation split stays what it is.

    Args:
        datamodule: Its training loader has a data set with a length.
        architecture_fraction: The part of the training split for architecture steps, in [0, 1);
            the published half by default.
        seed: Seed of the split and of the order, at least 0.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        datamodule: pl.LightningDataModule,
        *,
        architecture_fraction: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= architecture_fraction < 1:
            raise ValueError(
                "Expected argument `architecture_fraction` to be in [0, 1) "
                f"but got {architecture_fraction}."
            )
        if seed < 0:
            raise ValueError(f"Expected argument `seed` to be at least 0 but got {seed}.")
        self.datamodule = copy.copy(datamodule)
        self.architecture_fraction = architecture_fraction
        self.seed = seed
        self._augmentation: torch.Tensor | None = None

    def prepare_data(self) -> None:
        """Prepare the wrapped data module."""
        self.datamodule.prepare_data()

    def setup(self, stage: str) -> None:
        """Set up the wrapped data module."""
        self.datamodule.trainer = self.trainer
        self.datamodule.setup(stage)

    def train_dataloader(self) -> CombinedLoader:
        """Return the combined loader of both parts.

        Raises:
            ValueError: If a part would be smaller than one batch.
        """
        whole = self.datamodule.train_dataloader()
        generator = getattr(self.datamodule, "_augmentation_generator", None)
        if generator is not None and self._augmentation is not None:
            generator.set_state(self._augmentation)
        n = len(whole.dataset)
        order = np.random.default_rng((self.seed, 0x5711)).permutation(n)
        n_architecture = round(n * self.architecture_fraction)
        parts = {"weights": order[n_architecture:], "architecture": order[:n_architecture]}
        if not n_architecture:
            del parts["architecture"]
        loaders = {
            name: self._loader(whole, np.sort(indices).tolist(), i)
            for i, (name, indices) in enumerate(parts.items())
        }
        return CombinedLoader(loaders, "min_size")

    def _loader(self, whole: DataLoader[Any], indices: list[int], number: int) -> DataLoader[Any]:
        batch_size = whole.batch_size or 1
        if len(indices) < batch_size:
            raise ValueError(
                f"Expected argument `datamodule` to have at least {batch_size} training images, "
                f"one batch, in each part but got {len(indices)}."
            )
        part = Subset(whole.dataset, indices)
        return DataLoader(
            part,
            batch_size=batch_size,
            sampler=EpochSampler(part, 2 * self.seed + number),
            drop_last=True,
            collate_fn=whole.collate_fn,
            num_workers=whole.num_workers,
            pin_memory=whole.pin_memory,
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> Any:
        """Return the wrapped data module's."""
        return self.datamodule.val_dataloader()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment as the wrapped data module does."""
        return self.datamodule.on_after_batch_transfer(batch, dataloader_idx)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the augmentation, so that a resumed training continues it."""
        generator = getattr(self.datamodule, "_augmentation_generator", None)
        return {} if generator is None else {"augmentation": generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self._augmentation = state_dict.get("augmentation")
