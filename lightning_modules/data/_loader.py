"""Data loaders that take a batch of in-memory tensors, or of picture files, at once."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sized
import re
from typing import Any
from typing import NamedTuple
import warnings

import numpy as np
from pytorch_lightning.utilities.warnings import PossibleUserWarning  # type: ignore[attr-defined]
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset
from torch.utils.data import RandomSampler
from torch.utils.data import SequentialSampler

from lightning_modules.data._normalise import Normaliser
from lightning_modules.data._picture_files import PictureFiles
from lightning_modules.data._split import Split
from lightning_modules.data._workers import default_workers


# Workers would only slow down the indexing of tensors in memory.
_WORKER_HINT = r"The '(train|val|test)_dataloader' does not have many workers"


class TrainingBatch(NamedTuple):
    """A batch to learn from. Its type tells it from others, so that it alone is augmented."""

    inputs: Tensor
    """float32 of shape ``(batch, channels, height, width)``."""
    targets: Tensor
    """int64 of shape ``(batch,)``, or float32 of shape ``(batch,)`` or ``(batch, k)``."""


class SplitDataset(Dataset[tuple[Tensor, Tensor]]):
    """A split, normalised as it is read; a list of indices gives a whole batch.

    Args:
        split: The split; float32 inputs are taken as normalised.
        normaliser: Normalises uint8 inputs.
        training: Whether batches are :class:`TrainingBatch`.
    """

    def __init__(self, split: Split, normaliser: Normaliser, *, training: bool = False) -> None:
        self.inputs = split.inputs
        self.targets = split.targets
        self.normaliser = normaliser
        self.training = training

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        inputs = self.inputs
        image = inputs.read(index) if isinstance(inputs, PictureFiles) else inputs[index]
        return self._normalised(image), self.targets[index]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        # The name that DataLoader looks for to fetch a batch at once.
        if isinstance(self.inputs, PictureFiles):
            images, indices = self.inputs.read_batch(indices)
            index = torch.tensor(indices)
        else:
            index = torch.tensor(indices)
            images = self.inputs.index_select(0, index)
        batch = self._normalised(images), self.targets.index_select(0, index)
        return TrainingBatch(*batch) if self.training else batch

    def _normalised(self, images: Tensor) -> Tensor:
        return self.normaliser(images) if images.dtype == torch.uint8 else images


class EpochSampler(RandomSampler):
    """A new order each epoch that depends on seed and epoch alone.

    Lightning calls :meth:`set_epoch`; without it the epochs are counted here. It subclasses
    :class:`~torch.utils.data.RandomSampler` because Lightning asks for that type before it puts a
    distributed sampler in its place or, with ``overfit_batches``, a sequential one.

    Args:
        dataset: The data set to take indices of.
        seed: Non-negative seed.
    """

    def __init__(self, dataset: Sized, seed: int) -> None:
        super().__init__(dataset)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0, of the next pass."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        state = np.random.SeedSequence((self._seed, self._epoch)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0]))
        self._epoch += 1
        yield from torch.randperm(self.num_samples, generator=generator).tolist()


def make_loader(
    dataset: SplitDataset,
    batch_size: int,
    *,
    seed: int | None = None,
    num_workers: int | None = None,
    pin_memory: bool = False,
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Make a loader in the order of the data set or, with ``seed``, in a random order.

    In a random order, which is for training, a last batch of one single sample is dropped, as
    batch normalisation cannot learn from it. Other incomplete batches are kept.

    Args:
        dataset: The data set.
        batch_size: Samples of a batch.
        seed: Seed of the order; :obj:`None` for that of the data set.
        num_workers: Processes that read batches; :obj:`None` for none if the inputs are in
            memory, else :func:`~lightning_modules.data._workers.default_workers`.
        pin_memory: Whether batches are put into page-locked memory, for a GPU.
    """
    silence(PossibleUserWarning, _WORKER_HINT)
    if num_workers is None:
        in_files = isinstance(dataset.inputs, PictureFiles)
        n_bytes = 4 * dataset.inputs.shape[1:].numel() * min(batch_size, len(dataset))
        num_workers = default_workers(n_bytes) if in_files else 0
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=SequentialSampler(dataset) if seed is None else EpochSampler(dataset, seed),
        drop_last=seed is not None and len(dataset) % batch_size == 1,
        collate_fn=_as_it_is,
        num_workers=num_workers,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        generator=torch.Generator(),  # Else each pass draws from the global generator.
    )


def _as_it_is(batch: Any) -> Any:
    return batch


def silence(category: type[Warning], message: str) -> None:
    """Ignore the warnings of a category whose text starts with a regular expression."""
    # Not twice, since each addition makes Python forget which other warnings it has shown.
    entry = ("ignore", re.compile(message, re.IGNORECASE), category, None, 0)
    if entry not in warnings.filters:
        warnings.filterwarnings("ignore", message=message, category=category)
