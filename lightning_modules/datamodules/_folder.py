"""A user's own data in a folder with one sub-folder of image files per class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from lightning_modules.datamodules._arrays import to_float
from lightning_modules.datamodules._data import LabeledImages
from lightning_modules.datamodules._data import SearchData
from lightning_modules.datamodules._error import DataError
from lightning_modules.datamodules._images import image_format
from lightning_modules.datamodules._images import IMAGE_SUFFIXES
from lightning_modules.datamodules._images import read_image
from lightning_modules.datamodules._splits import stratified_split
from lightning_modules.datamodules._splits import TRAIN_VALIDATION
from lightning_modules.datamodules._splits import TRAIN_VALIDATION_TEST


_SPLITS = ("train", "val", "test")

Files = list[tuple[Path, int]]
"""Image files with their class indices."""


@dataclass(frozen=True)
class _Listing:
    class_names: list[str]
    train: Files
    validation: Files
    test: Files


class FolderSource:
    """Sub-folders of images named by class, or ``train``, ``test`` (and ``val``) of such folders.

    Args:
        path: The folder.
        image_size: Height and width to resize the images to; :obj:`None` keeps their size.
    """

    def __init__(self, path: Path, image_size: int | None) -> None:
        self._path = path
        self._image_size = image_size

    def read_search_data(self) -> SearchData:
        """Read the training and validation split; of the test images only the headers."""
        listing = self._listing
        train, validation = self._read(listing.train), self._read(listing.validation)
        return SearchData(train, validation, listing.class_names)

    def read_test_data(self) -> LabeledImages:
        """Read the test split."""
        return self._read(self._listing.test)

    @cached_property
    def _listing(self) -> _Listing:
        folders = _subfolders(self._path)
        names = [folder.name for folder in folders]
        # Beside other classes, a folder of images called train is a class.
        nested = any(folder.name == "train" and _subfolders(folder) for folder in folders)
        if nested or (names and set(names) <= set(_SPLITS)):
            if not {"train", "test"} <= set(names) <= set(_SPLITS):
                raise DataError(
                    f"Expected {self._path} to have either a sub-folder per class or the "
                    f"sub-folders train, test and perhaps val but got {names}."
                )
            return self._official_listing(has_validation="val" in names)
        files = self._files(self._path, names)
        train, validation, test = _split(files, TRAIN_VALIDATION_TEST, names)
        return _Listing(names, train, validation, test)

    def _official_listing(self, *, has_validation: bool) -> _Listing:
        names = [folder.name for folder in _subfolders(self._path / "train")]
        train = self._files(self._path / "train", names)
        test = self._files(self._path / "test", names)
        if has_validation:
            validation = self._files(self._path / "val", names)
        else:
            train, validation = _split(train, TRAIN_VALIDATION, names)
        return _Listing(names, train, validation, test)

    def _files(self, parent: Path, class_names: list[str]) -> Files:
        folders = _subfolders(parent)
        if len(class_names) < 2:
            raise DataError(
                f"Expected {parent} to have a sub-folder of images for each of at least 2 classes "
                f"but got {class_names}."
            )
        files: Files = []
        for folder in folders:
            if folder.name not in class_names:
                raise DataError(
                    f"Expected {parent} to have only sub-folders of the classes in train, "
                    f"{class_names}, but got {folder.name!r}."
                )
            images = sorted(file for file in folder.iterdir() if _is_image(file))
            if not images:
                raise DataError(
                    f"Expected {folder} to have images ({', '.join(IMAGE_SUFFIXES)}) but got none."
                )
            files += [(file, class_names.index(folder.name)) for file in images]
        if not files:
            raise DataError(f"Expected {parent} to have sub-folders of images but got none.")
        return files

    @cached_property
    def _shape(self) -> tuple[int, int, int]:
        listing = self._listing
        files = listing.train + listing.validation + listing.test
        formats = {image_format(file) for file, _ in files}
        channels = max(form[0] for form in formats)
        if self._image_size is not None:
            return channels, self._image_size, self._image_size
        sizes = sorted({form[1:] for form in formats})
        if len(sizes) > 1:
            (height, width), (other_height, other_width) = sizes[0], sizes[-1]
            raise DataError(
                f"Expected argument `image_size` to be a number of pixels, as the images in "
                f"{self._path} have {len(sizes)} different sizes from {height}x{width} to "
                f"{other_height}x{other_width}, but got None."
            )
        return channels, *sizes[0]

    def _read(self, files: Files) -> LabeledImages:
        pixels = np.stack([read_image(file, self._shape) for file, _ in files])
        labels = torch.tensor([label for _, label in files])
        return LabeledImages(to_float(pixels, f"the images in {self._path}"), labels)


def _split(files: Files, fractions: tuple[float, ...], class_names: list[str]) -> list[Files]:
    labels = np.array([label for _, label in files], dtype=np.int64)
    parts = stratified_split(labels, fractions, class_names)
    return [[files[i] for i in part] for part in parts]


def _subfolders(path: Path) -> list[Path]:
    return sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _is_image(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
