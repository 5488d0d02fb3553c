"""Data loaders that take a batch of in-memory tensors by one indexing operation."""

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


# Workers would only slow down the indexing of tensors in memory.
_WORKER_HINT = r"The '(train|val|test)_dataloader' does not have many workers"


class TrainingBatch(NamedTuple):
    """A batch to learn from. Its type tells it from others, so that it alone is augmented."""

    images: Tensor
    """float32 of shape ``(batch, channels, height, width)``."""
    labels: Tensor
    """int64 of shape ``(batch,)``."""


class InMemoryDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images and labels in memory; a list of indices gives a whole batch.

    Args:
        images: float32 of shape ``(n, channels, height, width)``.
        labels: int64 of shape ``(n,)``.
        training: Whether batches are :class:`TrainingBatch`.
    """

    def __init__(self, images: Tensor, labels: Tensor, *, training: bool = False) -> None:
        self.images = images
        self.labels = labels
        self.training = training

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        # The name that DataLoader looks for to fetch a batch at once.
        index = torch.tensor(indices)
        batch = self.images.index_select(0, index), self.labels.index_select(0, index)
        return TrainingBatch(*batch) if self.training else batch


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
    dataset: InMemoryDataset, batch_size: int, *, seed: int | None = None
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Make a loader in the order of the data set or, with ``seed``, in a random order.

    In a random order, which is for training, a last batch of one single sample is dropped, as
    batch normalisation cannot learn from it. Other incomplete batches are kept.
    """
    silence(PossibleUserWarning, _WORKER_HINT)
    shuffle = seed is not None
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=SequentialSampler(dataset) if seed is None else EpochSampler(dataset, seed),
        drop_last=shuffle and len(dataset) % batch_size == 1,
        collate_fn=_as_it_is,
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
