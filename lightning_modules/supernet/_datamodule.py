"""The training split in two: one part for the weights, one for the architecture."""

from __future__ import annotations

from collections.abc import Callable
import copy
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.utilities import CombinedLoader
import torch
from torch.utils.data import BatchSampler
from torch.utils.data import DataLoader
from torch.utils.data import RandomSampler
from torch.utils.data import SequentialSampler
from torch.utils.data import Subset

from lightning_modules.data._loader import EpochSampler


class SupernetDataModule(pl.LightningDataModule):
    """Wraps a data module: batches for weight steps and, from other samples, architecture steps.

    A training batch is ``{"weights": batch, "architecture": batch}``; without a part for the
    architecture ``{"weights": batch}``. Both are batches of the wrapped data module's training
    loader, in a new random order each epoch that depends on the seed and the epoch alone. An epoch
    ends with the shorter part. The validation split stays what it is.

    The wrapped data module is a shallow copy of the one that is given, which stays as it is. Its
    hooks see one batch at a time.

    Args:
        datamodule: Its training loader is a :class:`~torch.utils.data.DataLoader` of a data set
            with a length, in order or shuffled.
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
            ValueError: If the training loader is of another kind, or a part would be smaller than
                one batch.
        """
        whole = self.datamodule.train_dataloader()
        _check_loader(whole)
        generator = getattr(self.datamodule, "_augmentation_generator", None)
        if generator is not None and self._augmentation is not None:
            generator.set_state(self._augmentation)
            self._augmentation = None
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
        batch_size = whole.batch_size
        assert batch_size is not None
        if len(indices) < batch_size:
            raise ValueError(
                f"Expected argument `batch_size` to be at most {len(indices)}, the training "
                f"samples in a part for weights or architecture, but got {batch_size}."
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
            timeout=whole.timeout,
            worker_init_fn=whole.worker_init_fn,
            multiprocessing_context=whole.multiprocessing_context,
            prefetch_factor=whole.prefetch_factor,
            persistent_workers=whole.persistent_workers,
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> Any:
        """Return the wrapped data module's."""
        return self.datamodule.val_dataloader()

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Do as the wrapped data module, with each part."""
        return _each(
            lambda own: self.datamodule.on_before_batch_transfer(own, dataloader_idx), batch
        )

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Do as the wrapped data module, with each part."""
        return _each(
            lambda own: self.datamodule.transfer_batch_to_device(own, device, dataloader_idx),
            batch,
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment each part as the wrapped data module does."""
        return _each(
            lambda own: self.datamodule.on_after_batch_transfer(own, dataloader_idx), batch
        )

    def teardown(self, stage: str) -> None:
        """Tear the wrapped data module down."""
        self.datamodule.teardown(stage)

    def state_dict(self) -> dict[str, Any]:
        """Return the wrapped state and that of the augmentation, to go on with."""
        generator = getattr(self.datamodule, "_augmentation_generator", None)
        return {
            "datamodule": self.datamodule.state_dict(),
            "augmentation": None if generator is None else generator.get_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.datamodule.load_state_dict(state_dict["datamodule"])
        self._augmentation = state_dict["augmentation"]


def _each(function: Callable[[Any], Any], batch: Any) -> Any:
    """Apply a hook to the parts of a training batch, or to another batch as a whole."""
    if isinstance(batch, dict) and "weights" in batch:
        return {name: function(own) for name, own in batch.items()}
    return function(batch)


def _check_loader(loader: Any) -> None:
    """Raise a ValueError if a loader cannot be split in two without changing what it is."""
    if not isinstance(loader, DataLoader):
        came = f"a {type(loader).__name__}"
    elif not hasattr(loader.dataset, "__len__"):
        came = "one of a data set without length"
    elif loader.batch_size is None or type(loader.batch_sampler) is not BatchSampler:
        came = "one with batches of its own"
    elif type(loader.sampler) not in (RandomSampler, SequentialSampler, EpochSampler):
        came = f"one with a {type(loader.sampler).__name__}"
    else:
        return
    raise ValueError(
        "Expected argument `datamodule` to have one training DataLoader of a data set with a "
        f"length, in order or shuffled, but got {came}."
    )
