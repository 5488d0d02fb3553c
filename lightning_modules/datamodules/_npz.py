"""A user's own data in an ``.npz`` file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile
import numpy.typing as npt
import torch

from lightning_modules.datamodules._arrays import Array
from lightning_modules.datamodules._arrays import image_shape
from lightning_modules.datamodules._arrays import open_npz
from lightning_modules.datamodules._arrays import read_array
from lightning_modules.datamodules._arrays import read_shape
from lightning_modules.datamodules._arrays import require_arrays
from lightning_modules.datamodules._arrays import to_images
from lightning_modules.datamodules._data import LabeledImages
from lightning_modules.datamodules._data import SearchData
from lightning_modules.datamodules._error import DataError
from lightning_modules.datamodules._splits import stratified_split
from lightning_modules.datamodules._splits import TRAIN_VALIDATION
from lightning_modules.datamodules._splits import TRAIN_VALIDATION_TEST


class NpzSource:
    """Arrays ``X`` and ``y``, optionally with ``X_test``, ``y_test`` and ``X_val``, ``y_val``.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_search_data(self) -> SearchData:
        """Read the training and validation split; of an official test split only labels."""
        with open_npz(self._path) as archive:
            self._check_names(archive)
            classes = self._classes(archive)
            names = [str(value) for value in classes.tolist()]
            labels = self._labels(archive, "y", classes)
            images = to_images(read_array(archive, self._path, "X"), self._what("X"))
            if "X_test" not in archive.files:
                parts = stratified_split(labels, TRAIN_VALIDATION_TEST, names)[:2]
            else:
                self._check_test(archive, classes, images.shape[1:])
                if "X_val" in archive.files:
                    validation = self._split(archive, "_val", classes)
                    train = LabeledImages(images, torch.from_numpy(labels))
                    return SearchData(train, validation, names)
                parts = stratified_split(labels, TRAIN_VALIDATION, names)
            train, validation = (
                LabeledImages(images[part], torch.from_numpy(labels[part])) for part in parts
            )
            return SearchData(train, validation, names)

    def read_test_data(self) -> LabeledImages:
        """Read the test split."""
        with open_npz(self._path) as archive:
            classes = self._classes(archive)
            if "X_test" in archive.files:
                return self._split(archive, "_test", classes)
            everything = self._split(archive, "", classes)
            names = [str(value) for value in classes.tolist()]
            parts = stratified_split(everything.labels.numpy(), TRAIN_VALIDATION_TEST, names)
            return LabeledImages(everything.images[parts[2]], everything.labels[parts[2]])

    def _what(self, name: str) -> str:
        return f"array `{name}` of {self._path}"

    def _check_names(self, archive: NpzFile) -> None:
        names = ["X", "y"]
        for suffix in ("_test", "_val"):
            if {f"X{suffix}", f"y{suffix}"} & set(archive.files):
                names += [f"X{suffix}", f"y{suffix}"]
        if "X_val" in names and "X_test" not in names:  # An official split has a test split.
            names += ["X_test", "y_test"]
        require_arrays(archive, self._path, names)

    def _check_test(self, archive: NpzFile, classes: Array, shape: tuple[int, ...]) -> None:
        # Before the search instead of after it, and without a look at the images.
        self._labels(archive, "y_test", classes)
        found = image_shape(read_shape(archive, self._path, "X_test"), self._what("X_test"))
        if found != tuple(shape):
            raise DataError(
                f"Expected {self._what('X_test')} to have images of shape {tuple(shape)} "
                f"(channels, height, width), as `X` has, but got {found}."
            )

    def _split(self, archive: NpzFile, suffix: str, classes: Array) -> LabeledImages:
        labels = self._labels(archive, f"y{suffix}", classes)
        images = to_images(read_array(archive, self._path, f"X{suffix}"), self._what(f"X{suffix}"))
        return LabeledImages(images, torch.from_numpy(labels))

    def _classes(self, archive: NpzFile) -> Array:
        classes = np.unique(self._raw_labels(archive, "y"))
        if len(classes) < 2:
            raise DataError(
                f"Expected {self._what('y')} to have at least 2 classes "
                f"but got {classes.tolist()}."
            )
        return classes

    def _labels(self, archive: NpzFile, name: str, classes: Array) -> npt.NDArray[np.int64]:
        labels = self._raw_labels(archive, name).tolist()
        index = {value: i for i, value in enumerate(classes.tolist())}
        unknown = next((value for value in labels if value not in index), None)
        if unknown is not None:
            raise DataError(
                f"Expected {self._what(name)} to have only the classes of `y`, {list(index)}, "
                f"but got {unknown!r}."
            )
        return np.array([index[value] for value in labels], dtype=np.int64)

    def _raw_labels(self, archive: NpzFile, name: str) -> Array:
        labels = read_array(archive, self._path, name)
        images_name = name.replace("y", "X", 1)
        n_images = read_shape(archive, self._path, images_name)[:1]
        if labels.dtype.kind not in "biuSU":
            raise DataError(
                f"Expected {self._what(name)} to be integers or strings but got {labels.dtype}."
            )
        if labels.shape != n_images:
            raise DataError(
                f"Expected {self._what(name)} to have shape {n_images}, one label for each image "
                f"of `{images_name}`, but got shape {labels.shape}."
            )
        return labels.astype(str) if labels.dtype.kind == "S" else labels
