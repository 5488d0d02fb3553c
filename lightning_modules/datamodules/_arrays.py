"""Reading NumPy files, and images out of arrays of any layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import tokenize
from typing import Any
import zipfile
import zlib

import numpy as np
from numpy.lib.npyio import NpzFile
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_modules.datamodules._error import DataError


Array = npt.NDArray[Any]

_CHANNELS = (1, 3, 4)
_READ_ERRORS = (  # What NumPy and zipfile were seen to raise for damaged files.
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def open_npz(path: Path) -> NpzFile:
    """Open an archive of arrays; they are read one by one with :func:`read_array`.

    Raises:
        DataError: If the file is missing or no ``.npz`` file.
    """
    try:
        archive = np.load(path, allow_pickle=False)
    except _READ_ERRORS as error:
        raise DataError(
            f"Expected {path} to be a readable .npz file but got {_describe(error)}."
        ) from error
    if not isinstance(archive, NpzFile):
        raise DataError(f"Expected {path} to be an .npz file but got a single array.")
    return archive


def read_array(archive: NpzFile, path: Path, name: str) -> Array:
    """Read an array.

    Raises:
        DataError: If it is missing, damaged, or an array of pickled objects.
    """
    require_arrays(archive, path, [name])
    try:
        array: Array = archive[name]
    except _READ_ERRORS as error:
        raise DataError(
            f"Expected array `{name}` of {path} to be undamaged numbers or strings, not pickled "
            f"objects, but got {_describe(error)}."
        ) from error
    return array


def read_shape(archive: NpzFile, path: Path, name: str) -> tuple[int, ...]:
    """Read the shape of an array without its data; raises as :func:`read_array` does."""
    require_arrays(archive, path, [name])
    assert archive.zip is not None
    try:
        with archive.zip.open(f"{name}.npy") as file:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, _, _ = np.lib.format.read_array_header_1_0(file)
            else:
                shape, _, _ = np.lib.format.read_array_header_2_0(file)
    except _READ_ERRORS as error:
        raise DataError(
            f"Expected array `{name}` of {path} to be undamaged but got {_describe(error)}."
        ) from error
    return tuple(shape)


def require_arrays(archive: NpzFile, path: Path, names: Sequence[str]) -> None:
    """Raise :class:`DataError` if one of the arrays is not there."""
    if not set(names) <= set(archive.files):
        raise DataError(
            f"Expected {path} to have the arrays {list(names)} but got {archive.files}."
        )


def read_npy(path: Path) -> Array:
    """Read the array of an ``.npy`` file.

    Raises:
        DataError: If the file is missing, damaged, or of pickled objects.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except _READ_ERRORS as error:
        raise DataError(
            f"Expected {path} to be a readable .npy file but got {_describe(error)}."
        ) from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"Expected {path} to be an .npy file but got an archive of arrays.")
    return array


def image_shape(shape: Sequence[int], what: str) -> tuple[int, int, int]:
    """Tell the shape of an image, (channels, height, width), from that of an array of images.

    Args:
        shape: ``(n, height, width)``, ``(n, channels, height, width)`` or
            ``(n, height, width, channels)``. The axis of channels is the one with 1, 3 or 4
            entries of axis 1 and axis 3.
        what: What the array is, for the error message.

    Raises:
        DataError: If it is none of these, or both axes could be the channels.
    """
    if 0 not in shape and len(shape) == 3:
        return 1, shape[1], shape[2]
    if 0 not in shape and len(shape) == 4:
        first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
        if first and last:
            raise DataError(
                f"Expected {what} to have 1, 3 or 4 channels on axis 1 or on axis 3 but got shape "
                f"{tuple(shape)}, where it could be either: pad the images or drop an axis of 1."
            )
        if first:
            return shape[1], shape[2], shape[3]
        if last:
            return shape[3], shape[1], shape[2]
    raise DataError(
        f"Expected {what} to be images of shape (n, h, w), (n, h, w, c) or (n, c, h, w) with "
        f"c = 1, 3 or 4 but got shape {tuple(shape)}."
    )


def to_images(array: Array, what: str) -> Tensor:
    """Turn an array of images, see :func:`image_shape`, into float32 of (n, c, h, w)."""
    channels, height, width = image_shape(array.shape, what)
    if array.ndim == 4 and array.shape[1:] != (channels, height, width):
        array = np.moveaxis(array, 3, 1)
    return to_float(array, what).reshape(-1, channels, height, width)


def to_float(array: Array, what: str) -> Tensor:
    """Turn numbers into a float32 tensor of the same shape; uint8 is scaled to [0, 1].

    Raises:
        DataError: If they are no real numbers or not all finite in float32.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(f"Expected {what} to be integers or floats but got {array.dtype}.")
    with np.errstate(over="ignore"):
        values = torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
    if not torch.stack(torch.aminmax(values)).isfinite().all():
        raise DataError(f"Expected {what} to be finite but got NaN or infinity.")
    return values.div_(255) if array.dtype == np.uint8 else values


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
