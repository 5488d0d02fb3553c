"""Search data that is checked and normalised, and of which a fraction may be taken."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_modules.data._normalise import measure
from lightning_modules.data._normalise import Normaliser
from lightning_modules.data._partition import fixed_subset
from lightning_modules.data._split import check_search_data
from lightning_modules.data._split import SearchData
from lightning_modules.data._split import Split


@dataclass(frozen=True)
class PreparedData:
    """Search data whose float32 inputs are normalised, and what the training split measures.

    Args:
        search: Both splits; of the training split perhaps a fraction.
        normaliser: Normalises inputs that are no float32.
        target_mean: Mean of each value to predict over the whole training split; none for classes.
        target_std: Standard deviation of each; 1 for a constant one.
    """

    search: SearchData
    normaliser: Normaliser
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()


def prepare(data: SearchData, train_fraction: float) -> PreparedData:
    """Check and normalise both splits, and take ``train_fraction`` of the training split."""
    check_search_data(data)
    train = data.train
    normaliser = measure(train.inputs)
    if train_fraction < 1:
        targets, n_classes = train.targets.numpy(), len(data.class_names)
        train = train.select(torch.from_numpy(fixed_subset(targets, train_fraction, n_classes)))
    validation = normalised(data.validation, normaliser)
    search = SearchData(normalised(train, normaliser), validation, data.class_names)
    return PreparedData(search, normaliser, *_moments(data.train.targets))


def normalised(split: Split, normaliser: Normaliser) -> Split:
    """Normalise float32 inputs once and for all; bytes take less memory as they are."""
    if split.inputs.dtype == torch.uint8:
        return split
    assert isinstance(split.inputs, Tensor)
    return Split(normaliser(split.inputs), split.targets)


def _moments(targets: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each value to predict; none of classes."""
    if not targets.is_floating_point():
        return (), ()
    std, mean = torch.std_mean(targets.double().reshape(len(targets), -1), dim=0, correction=0)
    # A constant value has a deviation of nothing but rounding errors.
    std = torch.where(std > 1e-12 * mean.abs(), std, 1.0)
    return tuple(mean.tolist()), tuple(std.tolist())
