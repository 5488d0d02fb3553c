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
    """Search data whose float32 inputs are normalised, and what normalises the others."""

    search: SearchData
    normaliser: Normaliser


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
    return PreparedData(search, normaliser)


def normalised(split: Split, normaliser: Normaliser) -> Split:
    """Normalise float32 inputs once and for all; bytes take less memory as they are."""
    if split.inputs.dtype == torch.uint8:
        return split
    assert isinstance(split.inputs, Tensor)
    return Split(normaliser(split.inputs), split.targets)
