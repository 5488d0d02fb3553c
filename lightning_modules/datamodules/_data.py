"""Splits of labelled images: what they hold, how they are checked and normalised."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_modules.datamodules._error import DataError
from lightning_modules.datamodules._splits import stratified_subset


@dataclass(frozen=True)
class LabeledImages:
    """One split.

    Args:
        images: float32 of shape ``(n, channels, height, width)``, finite; best in [0, 1].
        labels: Class indices, int64 of shape ``(n,)``.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class SearchData:
    """What a search may see: the training and the validation split, and the classes' names."""

    train: LabeledImages
    validation: LabeledImages
    class_names: list[str]


@dataclass(frozen=True)
class PreparedData:
    """Normalised search data; mean and standard deviation have shape ``(channels,)``."""

    train: LabeledImages
    validation: LabeledImages
    class_names: list[str]
    mean: Tensor
    std: Tensor


def prepare(data: SearchData, train_fraction: float) -> PreparedData:
    """Check and normalise both splits, and take ``train_fraction`` of the training split."""
    train, n_classes = data.train, len(data.class_names)
    if n_classes < 2:
        raise DataError(f"Expected at least 2 classes but got {data.class_names}.")
    shape = tuple(train.images.shape[1:])
    check_split(train, "training", n_classes, shape)
    check_split(data.validation, "validation", n_classes, shape)
    std, mean = torch.std_mean(train.images, dim=(0, 2, 3), correction=0)
    # A constant channel has a deviation of nothing but rounding errors.
    std = torch.where(std > 1e-6 * mean.abs(), std, torch.ones_like(std))
    if train_fraction < 1:
        chosen = torch.from_numpy(
            stratified_subset(train.labels.numpy(), train_fraction, n_classes)
        )
        train = LabeledImages(train.images[chosen], train.labels[chosen])
    return PreparedData(
        LabeledImages(normalise(train.images, mean, std), train.labels),
        LabeledImages(normalise(data.validation.images, mean, std), data.validation.labels),
        list(data.class_names),
        mean,
        std,
    )


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Shift each channel by ``mean`` and divide it by ``std``, both of shape ``(channels,)``."""
    return (images - mean[:, None, None]).div_(std[:, None, None])


def check_split(split: LabeledImages, name: str, n_classes: int, shape: tuple[int, ...]) -> None:
    """Raise :class:`DataError` unless the split has the images and labels that it should."""
    images, labels = split.images, split.labels
    if images.ndim != 4 or images.dtype != torch.float32 or images.numel() == 0:
        raise DataError(
            f"Expected the {name} images to be float32 of shape (n, channels, height, width) "
            f"but got {images.dtype} of shape {tuple(images.shape)}."
        )
    if tuple(images.shape[1:]) != shape:
        raise DataError(
            f"Expected the {name} images to have the training images' shape {shape} "
            f"(channels, height, width) but got {tuple(images.shape[1:])}."
        )
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise DataError(
            f"Expected the {name} labels to be int64 of shape ({len(images)},), one for each "
            f"image, but got {labels.dtype} of shape {tuple(labels.shape)}."
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise DataError(
            f"Expected the {name} labels to be in [0, {n_classes}) "
            f"but got {int(labels.min())} to {int(labels.max())}."
        )
    if not torch.stack(torch.aminmax(images)).isfinite().all():
        raise DataError(f"Expected the {name} images to be finite but got NaN or infinity.")
