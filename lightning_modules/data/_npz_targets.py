"""The targets in an ``.npz`` file: classes by their names, or values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile
import torch
from torch import Tensor

from lightning_modules.data._error import DataError
from lightning_modules.data._image_layout import to_float
from lightning_modules.data._numpy_files import Array
from lightning_modules.data._numpy_files import read_array
from lightning_modules.data._numpy_files import read_shape


class TargetReader:
    """Reads arrays of targets, all after the model of ``y``.

    Args:
        archive: The opened file.
        path: The file, for error messages.

    Raises:
        DataError: If ``y`` is damaged, or neither classes nor values.
    """

    def __init__(self, archive: NpzFile, path: Path) -> None:
        self._archive = archive
        self._path = path
        targets = self._raw("y")
        different = np.unique(targets).tolist()
        if len(different) < 2:
            raise DataError(
                f"Expected {self._what('y')} to have at least 2 classes or values "
                f"but got {different}."
            )
        is_values = targets.dtype.kind == "f"
        self._value_shape = targets.shape[1:]
        self._classes = [] if is_values else different

    @property
    def class_names(self) -> list[str]:
        """Names of the classes; none if the targets are values."""
        return [str(value) for value in self._classes]

    def read(self, name: str) -> Tensor:
        """Read an array of targets.

        Returns:
            Class indices, int64 of shape ``(n,)``, or values, float32 of shape ``(n,)`` or
            ``(n, k)``.

        Raises:
            DataError: If it is damaged, has not a target for each image, or no such ones as ``y``.
        """
        targets = self._raw(name)
        if (targets.dtype.kind == "f") != (not self._classes):
            wanted = "classes" if self._classes else "floats"
            raise DataError(
                f"Expected {self._what(name)} to be {wanted}, like `y`, but got {targets.dtype}."
            )
        if self._classes:
            return self._class_indices(targets, name)
        if targets.shape[1:] != self._value_shape:
            raise DataError(
                f"Expected {self._what(name)} to have shape {(len(targets), *self._value_shape)}, "
                f"like `y`, but got {targets.shape}."
            )
        return to_float(targets, self._what(name))

    def _class_indices(self, targets: Array, name: str) -> Tensor:
        index = {value: i for i, value in enumerate(self._classes)}
        labels = targets.tolist()
        unknown = next((value for value in labels if value not in index), None)
        if unknown is not None:
            raise DataError(
                f"Expected {self._what(name)} to have only the classes of `y`, {list(index)}, "
                f"but got {unknown!r}."
            )
        return torch.tensor([index[value] for value in labels], dtype=torch.int64)

    def _raw(self, name: str) -> Array:
        targets = read_array(self._archive, self._path, name)
        images_name = name.replace("y", "X", 1)
        n_images = read_shape(self._archive, self._path, images_name)[:1]
        if targets.dtype.kind not in "biufSU":
            raise DataError(
                f"Expected {self._what(name)} to be integers, strings or floats "
                f"but got {targets.dtype}."
            )
        is_values = targets.dtype.kind == "f" and targets.ndim == 2 and targets.shape[1] > 0
        if (targets.shape[:1] if is_values else targets.shape) != n_images:
            raise DataError(
                f"Expected {self._what(name)} to have shape {n_images}, one label for each image "
                f"of `{images_name}`, or, if it is floats, perhaps several for each, "
                f"but got shape {targets.shape}."
            )
        return targets.astype(str) if targets.dtype.kind == "S" else targets

    def _what(self, name: str) -> str:
        return f"array `{name}` of {self._path}"
