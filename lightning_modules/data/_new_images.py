"""New images for prediction, in the form of the images that a network was trained on."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_modules.data._error import DataError
from lightning_modules.data._image_layout import to_float
from lightning_modules.data._normalise import Normaliser
from lightning_modules.data._numpy_files import Array
from lightning_modules.data._numpy_files import open_npz
from lightning_modules.data._numpy_files import read_array
from lightning_modules.data._numpy_files import read_npy
from lightning_modules.data._picture import read_picture


def make_transform(preprocessing: Mapping[str, Any]) -> Callable[[str | Path], Tensor]:
    """Make the function that reads a file as the training images were read.

    Picture files are converted, resized and scaled as those of a folder are, see
    :class:`FolderDataModule`. Arrays must have the right size and the units of the training data;
    uint8 is scaled to [0, 1]. Array ``X`` of an ``.npz`` file counts.

    Args:
        preprocessing: :attr:`ImageDataModule.preprocessing`: ``kind`` (``"images"``),
            ``input_shape`` (channels, height, width), ``mean`` and ``std`` of each channel, and
            ``resize`` (``"pad"``, also without it, or ``"crop"``).

    Returns:
        From the path of a picture file, or of an ``.npy`` or ``.npz`` file of one image,
        ``(h, w)``, ``(h, w, c)`` or ``(c, h, w)``, or of several, with an axis in front, to
        normalised images, float32 of shape ``(n, channels, height, width)``. It raises
        :class:`DataError` if the file cannot be read or holds images of another shape.

    Raises:
        ValueError: If ``preprocessing`` is not such a description.
    """
    shape, normaliser = _parts(preprocessing)
    resize = preprocessing.get("resize", "pad")

    def transform(path: str | Path) -> Tensor:
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".npy":
            return normaliser(_fit(read_npy(path), shape, str(path)))
        if suffix == ".npz":
            with open_npz(path) as archive:
                array = read_array(archive, path, "X")
            return normaliser(_fit(array, shape, f"array `X` of {path}"))
        return normaliser(to_float(read_picture(path, shape, resize)[None], str(path)))

    return transform


def load_images(
    paths: Sequence[str | Path] | str | Path, preprocessing: Mapping[str, Any]
) -> Tensor:
    """Load new images in the form that a network was trained on.

    Args:
        paths: Picture files, or ``.npy`` or ``.npz`` files of images.
        preprocessing: See :func:`make_transform`.

    Returns:
        Normalised images in the order of ``paths``, float32 of shape
        ``(n, channels, height, width)``.

    Raises:
        ValueError: If there are no paths, or ``preprocessing`` is no such description.
        DataError: If a file cannot be read or holds images of another shape.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise ValueError("Expected argument `paths` to name at least one file but got none.")
    transform = make_transform(preprocessing)
    return torch.cat([transform(path) for path in files])


def _parts(preprocessing: Mapping[str, Any]) -> tuple[tuple[int, int, int], Normaliser]:
    found = {name: preprocessing.get(name) for name in ("kind", "input_shape", "mean", "std")}
    resize = preprocessing.get("resize", "pad")
    if found["kind"] != "images" or None in found.values() or resize not in ("pad", "crop"):
        raise ValueError(
            'Expected argument `preprocessing` to have kind "images", input_shape, mean, std, and '
            f'resize "pad" or "crop" but got {dict(preprocessing)}.'
        )
    shape = preprocessing["input_shape"]
    is_shape = isinstance(shape, list | tuple) and len(shape) == 3
    if not is_shape or not all(type(size) is int and size >= 1 for size in shape):
        raise ValueError(f"Expected `input_shape` to be 3 sizes of at least 1 but got {shape!r}.")
    for key, above in (("mean", -math.inf), ("std", 0.0)):
        values = preprocessing[key]
        fits = isinstance(values, list | tuple) and len(values) == shape[0]
        if not fits or not all(_is_number(value) and value > above for value in values):
            raise ValueError(
                f"Expected `{key}` to be a finite number{' above 0' if key == 'std' else ''} for "
                f"each of the {shape[0]} channels but got {values!r}."
            )
    normaliser = Normaliser(
        torch.tensor(preprocessing["mean"]), torch.tensor(preprocessing["std"])
    )
    return (shape[0], shape[1], shape[2]), normaliser


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _fit(array: Array, input_shape: tuple[int, int, int], what: str) -> Tensor:
    channels, height, width = input_shape
    single = [  # The shape of one image, and the order of its axes that makes it (c, h, w).
        ((channels, height, width), (0, 1, 2)),
        ((height, width, channels), (2, 0, 1)),
    ]
    for shape, order in single:
        # An array of grayscale images may go without the axis of channels.
        for array_shape in {shape, (height, width) if channels == 1 else shape}:
            n_leading = array.ndim - len(array_shape)
            if n_leading in (0, 1) and array.shape[n_leading:] == array_shape and array.size:
                images = array.reshape(-1, *shape).transpose(0, *(axis + 1 for axis in order))
                return to_float(images, what)
    raise DataError(
        f"Expected {what} to be one or several images of {channels} channels, height {height} and "
        f"width {width} but got shape {array.shape}."
    )
