"""A split of a data set: what it holds and what is checked of it."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field

import torch
from torch import Tensor

from lightning_modules.data._error import DataError
from lightning_modules.data._picture_files import PictureFiles


@dataclass(frozen=True)
class Split:
    """One split.

    Args:
        inputs: Images of shape ``(n, channels, height, width)``: finite float32, best in [0, 1];
            uint8, which is scaled to [0, 1] batch by batch; or files that are decoded to uint8
            batch by batch.
        targets: Classes, int64 of shape ``(n,)``, or values, float32 of shape ``(n,)`` or
            ``(n, k)``.
    """

    inputs: Tensor | PictureFiles
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, indices: Tensor) -> Split:
        """Return the samples of int64 ``indices``, in their order."""
        return Split(self.inputs[indices], self.targets[indices])

    def followed_by(self, other: Split) -> Split:
        """Return the samples of this split, then those of the other."""
        targets = torch.cat([self.targets, other.targets])
        if isinstance(self.inputs, Tensor) and isinstance(other.inputs, Tensor):
            return Split(torch.cat([self.inputs, other.inputs]), targets)
        assert isinstance(self.inputs, PictureFiles)
        assert isinstance(other.inputs, PictureFiles)
        return Split(self.inputs.followed_by(other.inputs), targets)


@dataclass(frozen=True)
class SearchData:
    """What a search may see: the training and validation split, and the names of the classes.

    There are no names if the targets are values.
    """

    train: Split
    validation: Split
    class_names: list[str] = field(default_factory=list)


def check_search_data(data: SearchData) -> None:
    """Raise :class:`DataError` unless both splits have the inputs and targets that they should."""
    is_regression = data.train.targets.is_floating_point()
    if not is_regression and len(data.class_names) < 2:
        raise DataError(f"Expected at least 2 classes but got {data.class_names}.")
    check_split(data.train, "training", data)
    check_split(data.validation, "validation", data)


def check_split(split: Split, name: str, data: SearchData) -> None:
    """Raise :class:`DataError` unless the split has images and targets like the training split.

    Args:
        split: The split.
        name: What the split is called in an error message.
        data: The training split is the model of all others.
    """
    _check_inputs(split.inputs, name, tuple(data.train.inputs.shape[1:]))
    if data.train.targets.is_floating_point():
        _check_values(split, name, tuple(data.train.targets.shape[1:]))
    else:
        _check_classes(split, name, len(data.class_names))


def _check_inputs(inputs: Tensor | PictureFiles, name: str, shape: tuple[int, ...]) -> None:
    is_number = inputs.dtype in (torch.float32, torch.uint8)
    if len(inputs.shape) != 4 or not is_number or 0 in inputs.shape:
        raise DataError(
            f"Expected the {name} images to be float32 or uint8 of shape "
            f"(n, channels, height, width) but got {inputs.dtype} of shape {tuple(inputs.shape)}."
        )
    if tuple(inputs.shape[1:]) != shape:
        raise DataError(
            f"Expected the {name} images to have the training images' shape {shape} "
            f"(channels, height, width) but got {tuple(inputs.shape[1:])}."
        )
    if inputs.dtype == torch.float32 and not _is_finite(inputs):
        raise DataError(f"Expected the {name} images to be finite but got NaN or infinity.")


def _check_classes(split: Split, name: str, n_classes: int) -> None:
    labels, n = split.targets, len(split.inputs)
    if labels.dtype != torch.int64 or labels.shape != (n,):
        raise DataError(
            f"Expected the {name} labels to be int64 of shape ({n},), one for each "
            f"image, but got {labels.dtype} of shape {tuple(labels.shape)}."
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise DataError(
            f"Expected the {name} labels to be in [0, {n_classes}) "
            f"but got {int(labels.min())} to {int(labels.max())}."
        )


def _check_values(split: Split, name: str, shape: tuple[int, ...]) -> None:
    values, expected = split.targets, (len(split.inputs), *shape)
    if values.dtype != torch.float32 or values.shape != expected or len(shape) > 1:
        raise DataError(
            f"Expected the {name} targets to be float32 of shape {expected}, as those of the "
            f"training images, (n,) or (n, k), but got {values.dtype} of shape "
            f"{tuple(values.shape)}."
        )
    if not _is_finite(values):
        raise DataError(f"Expected the {name} targets to be finite but got NaN or infinity.")


def _is_finite(values: Tensor | PictureFiles) -> bool:
    assert isinstance(values, Tensor)
    # Sums and maxima of the whole, as `isfinite` of each number would take as much memory again.
    return values.numel() > 0 and bool(torch.stack(torch.aminmax(values)).isfinite().all())
