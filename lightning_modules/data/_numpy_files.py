"""Reading ``.npz`` and ``.npy`` files that may be damaged or of another kind."""

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

from lightning_modules.data._error import DataError


Array = npt.NDArray[Any]

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


def read_tensor(file: str) -> Tensor:
    """Read the array of an ``.npy`` file, or the array ``X`` of an ``.npz`` file, as a tensor.

    Raises:
        DataError: If the file is missing, damaged or holds no numbers.
    """
    path = Path(file)
    if path.suffix.lower() == ".npz":
        with open_npz(path) as archive:
            array = read_array(archive, path, "X")
    else:
        array = read_npy(path)
    if array.dtype.kind not in "biuf":
        raise DataError(f"Expected {path} to be an array of numbers but got {array.dtype}.")
    kind = array.dtype.newbyteorder("=")
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        kind = np.dtype(np.int64)  # PyTorch computes nothing with the longer unsigned types.
    elif array.dtype.kind == "f" and array.dtype.itemsize > 8:
        kind = np.dtype(np.float64)
    return torch.from_numpy(np.array(array, dtype=kind, order="C"))


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


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
