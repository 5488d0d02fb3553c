"""A user's own arrays in an ``.npz`` file."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.lib.npyio import NpzFile
import torch

from lightning_modules.data._error import DataError
from lightning_modules.data._image_datamodule import ImageDataModule
from lightning_modules.data._image_layout import image_shape
from lightning_modules.data._image_layout import to_images
from lightning_modules.data._npz_targets import TargetReader
from lightning_modules.data._numpy_files import open_npz
from lightning_modules.data._numpy_files import read_array
from lightning_modules.data._numpy_files import read_shape
from lightning_modules.data._numpy_files import require_arrays
from lightning_modules.data._partition import fixed_split
from lightning_modules.data._partition import TRAIN_VALIDATION
from lightning_modules.data._partition import TRAIN_VALIDATION_TEST
from lightning_modules.data._split import SearchData
from lightning_modules.data._split import Split


class NpzDataModule(ImageDataModule):
    """Your own images with a class or values for each, in an ``.npz`` file.

    The file has the arrays ``X``, numbers of shape ``(n, h, w)``, ``(n, h, w, c)`` or
    ``(n, c, h, w)`` with 1, 3 or 4 channels, and ``y``. If ``y`` is integers or strings of shape
    ``(n,)``, the classes are its sorted different values; if it is floats of shape ``(n,)`` or
    ``(n, k)``, these are values to predict. With ``X_test`` and ``y_test`` (and perhaps ``X_val``
    and ``y_val``) beside them, these are the official splits.

    Without official splits the data is split 60/20/20 percent, with an official test split alone
    the training images are split 80/20: both fixed, and in each class. Values of type uint8 are
    scaled to [0, 1] before normalisation.

    Args:
        path: The file.
        **kwargs: The arguments of :class:`ImageDataModule`.

    Raises:
        DataError: If ``path`` is no ``.npz`` file; on first use, if the data is damaged or not of
            the form above.
    """

    path_kind = "an .npz file"
    """What :meth:`reads` reads, for an error message."""

    def __init__(self, path: str | Path, **kwargs: Any) -> None:
        path = str(path)  # Hyperparameters are plain JSON types.
        super().__init__(**kwargs)
        self.path = path
        if not Path(path).is_file() or Path(path).suffix.lower() != ".npz":
            came = "another kind of file" if Path(path).exists() else "no such file"
            raise DataError(f"Expected argument `path` to be an .npz file but got {path}, {came}.")

    @staticmethod
    def reads(path: Path) -> bool:
        """Tell whether a path is that of an ``.npz`` file."""
        return path.suffix.lower() == ".npz"

    @cached_property
    def task(self) -> str:
        """The task that the targets are for; the images are not read."""
        with open_npz(Path(self.path)) as archive:
            self._check_names(archive)
            is_value = not TargetReader(archive, Path(self.path)).class_names
        return "regression" if is_value else "classification"

    def read_search_data(self) -> SearchData:
        """Read the training and validation split; of an official test split only targets."""
        with open_npz(Path(self.path)) as archive:
            self._check_names(archive)
            reader = TargetReader(archive, Path(self.path))
            everything = self._split(archive, "", reader)
            targets = everything.targets.numpy()
            if "X_test" not in archive.files:
                parts = fixed_split(targets, TRAIN_VALIDATION_TEST, reader.class_names)[:2]
            else:
                self._check_test(archive, reader, everything.inputs.shape[1:])
                if "X_val" in archive.files:
                    validation = self._split(archive, "_val", reader)
                    return SearchData(everything, validation, reader.class_names)
                parts = fixed_split(targets, TRAIN_VALIDATION, reader.class_names)
            train, validation = (everything.select(torch.from_numpy(part)) for part in parts)
            return SearchData(train, validation, reader.class_names)

    def read_test_data(self) -> Split:
        """Read the test split."""
        with open_npz(Path(self.path)) as archive:
            reader = TargetReader(archive, Path(self.path))
            if "X_test" in archive.files:
                return self._split(archive, "_test", reader)
            everything = self._split(archive, "", reader)
            targets = everything.targets.numpy()
            part = fixed_split(targets, TRAIN_VALIDATION_TEST, reader.class_names)[2]
            return everything.select(torch.from_numpy(part))

    def _what(self, name: str) -> str:
        return f"array `{name}` of {self.path}"

    def _check_names(self, archive: NpzFile) -> None:
        names = ["X", "y"]
        for suffix in ("_test", "_val"):
            if {f"X{suffix}", f"y{suffix}"} & set(archive.files):
                names += [f"X{suffix}", f"y{suffix}"]
        if "X_val" in names and "X_test" not in names:  # An official split has a test split.
            names += ["X_test", "y_test"]
        require_arrays(archive, Path(self.path), names)

    def _check_test(self, archive: NpzFile, reader: TargetReader, shape: tuple[int, ...]) -> None:
        # Before the search instead of after it, and without a look at the images.
        reader.read("y_test")
        raw_shape = read_shape(archive, Path(self.path), "X_test")
        found = image_shape(raw_shape, self._what("X_test"))
        if found != tuple(shape):
            raise DataError(
                f"Expected {self._what('X_test')} to have images of shape {tuple(shape)} "
                f"(channels, height, width), as `X` has, but got {found}."
            )

    def _split(self, archive: NpzFile, suffix: str, reader: TargetReader) -> Split:
        targets = reader.read(f"y{suffix}")  # Before the images, which take longer.
        array = read_array(archive, Path(self.path), f"X{suffix}")
        return Split(to_images(array, self._what(f"X{suffix}")), targets)


DATA = NpzDataModule
