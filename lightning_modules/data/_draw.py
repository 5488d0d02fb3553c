"""A seeded, stratified part of a data module's batches, for what is scored on a part only."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
import copy
from itertools import islice
import random
from typing import Any
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
from pytorch_lightning.trainer.states import RunningStage
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import CombinedLoader
from pytorch_lightning.utilities.data import extract_batch_size
from pytorch_lightning.utilities.seed import isolate_rng
import torch
from torch import Tensor
from torch.utils.data import BatchSampler
from torch.utils.data import DataLoader
from torch.utils.data import IterableDataset
from torch.utils.data import RandomSampler
from torch.utils.data import SequentialSampler
from torch.utils.data import Subset
from torch.utils.data import TensorDataset

from lightning_modules._checks import check_at_least
from lightning_modules.training.trainer import make_trainer
from lightning_modules.training.trainer import quiet


Labels = npt.NDArray[np.int64]


def draw_batches(
    datamodule: pl.LightningDataModule,
    split: Literal["train", "val"],
    n: int,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    batch_size: int | None = None,
) -> list[Any]:
    """Draw batches of about ``n`` samples, on a device, as a validation would see them.

    The samples are a random choice, in a random order, that depends on ``seed`` alone. If the
    data set tells its integer targets without reading the inputs (an attribute ``targets`` or
    ``labels``, or the last of the tensors of a :class:`~torch.utils.data.TensorDataset`, also
    below a :class:`~torch.utils.data.Subset`), every class has its share, in each batch as
    well. The loader's ``collate_fn`` and workers stay, and a sampler or batch sampler of its
    own says which samples, or batches, there are to choose from. If there are no more than
    ``n`` samples, all are returned in the order of the data set. An iterable data set, or
    another iterable in the place of a loader, gives its first batches.

    Each batch passes ``on_before_batch_transfer``, ``transfer_batch_to_device`` and
    ``on_after_batch_transfer`` of a shallow copy of the data module whose trainer is validating,
    so that the data modules here do not augment. Python's, NumPy's and PyTorch's random states
    are left as they are found, but a data set that augments on its own does so from ``seed``.

    Args:
        datamodule: A data module that is set up. It stays as it is.
        split: ``"train"`` or ``"val"``. The first loader counts if there are several.
        n: Number of samples, at least 1. One more if the last batch would be a single sample.
        seed: Seed of the choice, at least 0.
        device: Where the batches are to be.
        batch_size: Samples of a batch, by default as many as the loader puts into one. Batches
            that a sampler or data set of the user's own puts together stay as they are.

    Returns:
        The batches.

    Raises:
        ValueError: If an argument is out of its range or the split is empty.
    """
    if split not in ("train", "val"):
        raise ValueError(f'Expected argument `split` to be "train" or "val" but got {split!r}.')
    for name, value, least in (("n", n, 1), ("seed", seed, 0), ("batch_size", batch_size or 1, 1)):
        check_at_least(name, value, least)
    data = copy.copy(datamodule)
    data.trainer = _validating_trainer(torch.device(device))
    with _seeded(seed), torch.no_grad():
        loader = _first(data.train_dataloader() if split == "train" else data.val_dataloader())
        batches = _chosen(loader, n, batch_size, np.random.default_rng((seed, 0xDA7A)))
        batches = [_transferred(data, batch) for batch in batches]
    if not batches:
        raise ValueError(f"Expected argument `datamodule` to have {split} data but got none.")
    return batches


def _validating_trainer(device: torch.device) -> pl.Trainer:
    devices = [device.index or 0] if device.type == "cuda" else 1
    with quiet():
        trainer = make_trainer(accelerator=device.type, devices=devices)
    trainer.state.fn = TrainerFn.VALIDATING
    trainer.state.stage = RunningStage.VALIDATING
    return trainer


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    # For samplers and data sets that draw from the global generators.
    with isolate_rng():
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        yield


def _first(loaders: Any) -> Any:
    """Return the first loader of those of a split; an empty list if there are none."""
    combined = loaders if isinstance(loaders, CombinedLoader) else CombinedLoader(loaders)
    return combined.flattened[0] if combined.flattened else []


def _transferred(data: pl.LightningDataModule, batch: Any) -> Any:
    assert data.trainer is not None
    batch = data.on_before_batch_transfer(batch, 0)
    batch = data.transfer_batch_to_device(batch, data.trainer.strategy.root_device, 0)
    return data.on_after_batch_transfer(batch, 0)


def _chosen(loader: Any, n: int, batch_size: int | None, rng: np.random.Generator) -> list[Any]:
    """Take batches from a loader until there are ``n`` samples, of those that it can choose."""
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return _until(loader, n)
    sampler = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    if type(sampler) is BatchSampler:
        size = batch_size or sampler.batch_size
        chosen = _choose_samples(loader.dataset, sampler, n, size, rng)
        return _until(_remade(loader, "batch_sampler", chosen), n)
    # Batches that the sampler, or without any the data set, has put together stay so.
    groups = _drawn(sampler, n, rng)
    order = rng.permutation(len(groups))
    name = "sampler" if loader.batch_sampler is None else "batch_sampler"
    batches = _until(_remade(loader, name, [groups[i] for i in order]), n)
    if len(batches) < len(groups):
        return batches
    return [batches[i] for i in np.argsort(order)]


def _until(batches: Iterable[Any], n: int) -> list[Any]:
    taken, n_taken = [], 0
    for batch in batches:
        taken.append(batch)
        n_taken += extract_batch_size(batch)
        if n_taken >= n:
            break
    return taken


def _choose_samples(
    dataset: Any, batches: BatchSampler, n: int, size: int, rng: np.random.Generator
) -> list[list[int]]:
    """Return indices of a data set, ``size`` in a batch."""
    if isinstance(batches.sampler, RandomSampler | SequentialSampler):
        indices = np.arange(len(dataset))
    else:
        indices = np.sort(np.array(_drawn(batches.sampler, n, rng), dtype=np.int64))
    if n > 1 and n % size == 1:  # Batch normalisation cannot take a single sample.
        n += 1
    if n < len(indices):
        labels = _integer_targets(dataset)
        order = rng.permutation(len(indices))
        if labels is not None:
            order = _interleaved(labels[indices], order)
        indices = indices[order[:n]]
    return [indices[i : i + size].tolist() for i in range(0, len(indices), size)]


def _drawn(sampler: Any, n: int, rng: np.random.Generator) -> list[Any]:
    """Return what a sampler gives in one pass, from a seed and without a trace in it."""
    sampler = copy.copy(sampler)
    if isinstance(getattr(sampler, "generator", None), torch.Generator):
        sampler.generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    # One without a length may have no end.
    return list(islice(sampler, len(sampler) if hasattr(sampler, "__len__") else n))


def _interleaved(labels: Labels, order: Labels) -> Labels:
    """Sort indices so that each class has its share in every stretch.

    Args:
        labels: Classes, of shape ``(n,)``.
        order: The indices ``0, ..., n - 1`` in an order that stays within each class.
    """
    place = np.empty(len(order))
    for label in np.unique(labels):
        (own,) = np.nonzero(labels[order] == label)
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    return order[np.argsort(place, kind="stable")]


def _integer_targets(dataset: Any) -> Labels | None:
    """Return the targets of a map-style data set if they are integers that need no reading."""
    if isinstance(dataset, Subset):
        whole = _integer_targets(dataset.dataset)
        return None if whole is None else whole[list(dataset.indices)]
    if isinstance(dataset, TensorDataset):
        targets: Any = dataset.tensors[-1]
    else:
        targets = getattr(dataset, "targets", getattr(dataset, "labels", None))
    try:
        found = targets.numpy(force=True) if isinstance(targets, Tensor) else np.asarray(targets)
    except ValueError:  # A list of lists of many lengths.
        return None
    is_one_each = found.dtype.kind in "biu" and found.shape == (len(dataset),)
    return found if is_one_each else None


def _remade(loader: DataLoader[Any], name: str, order: Sequence[Any]) -> DataLoader[Any]:
    """Return a loader like another with an order of its own, as its argument ``name``."""
    arguments: dict[str, Any] = {name: order}
    if name == "sampler":
        arguments["batch_size"] = None
    return DataLoader(
        loader.dataset,
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
        generator=torch.Generator().manual_seed(torch.initial_seed()),  # That of the draw.
        **arguments,
    )
