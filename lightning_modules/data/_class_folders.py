"""The picture files below a folder: one sub-folder per class, perhaps in official splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightning_modules.data._error import DataError
from lightning_modules.data._partition import fixed_split
from lightning_modules.data._partition import TRAIN_VALIDATION
from lightning_modules.data._partition import TRAIN_VALIDATION_TEST
from lightning_modules.data._picture import PICTURE_SUFFIXES


_SPLITS = ("train", "val", "test")

Files = list[tuple[str, int]]
"""Picture files with their class indices."""


@dataclass(frozen=True)
class ClassFolders:
    """The names of the classes and the files of each split."""

    class_names: list[str]
    train: Files
    validation: Files
    test: Files

    def map(self, change: Callable[[Files], Files]) -> ClassFolders:
        """Return the same with each list of files changed."""
        parts = (change(files) for files in (self.train, self.validation, self.test))
        return ClassFolders(self.class_names, *parts)


def list_class_folders(path: Path) -> ClassFolders:
    """List sub-folders of pictures named by class, or ``train``, ``test`` (and ``val``) of such.

    Without official splits the files are split 60/20/20 percent, with an official test split alone
    80/20, in each class.

    Raises:
        DataError: If there are no such sub-folders, or one is empty.
    """
    folders = _subfolders(path)
    names = [folder.name for folder in folders]
    # Beside other classes, a folder of images called train is a class.
    nested = any(folder.name == "train" and _subfolders(folder) for folder in folders)
    if nested or (names and set(names) <= set(_SPLITS)):
        if not {"train", "test"} <= set(names) <= set(_SPLITS):
            raise DataError(
                f"Expected {path} to have either a sub-folder per class or the "
                f"sub-folders train, test and perhaps val but got {names}."
            )
        return _official_splits(path, has_validation="val" in names)
    train, validation, test = _split(_files(path, names), TRAIN_VALIDATION_TEST, names)
    return ClassFolders(names, train, validation, test)


def _official_splits(path: Path, *, has_validation: bool) -> ClassFolders:
    names = [folder.name for folder in _subfolders(path / "train")]
    train = _files(path / "train", names)
    test = _files(path / "test", names)
    if has_validation:
        validation = _files(path / "val", names)
    else:
        train, validation = _split(train, TRAIN_VALIDATION, names)
    return ClassFolders(names, train, validation, test)


def _files(parent: Path, class_names: list[str]) -> Files:
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
        images = sorted(file for file in folder.iterdir() if _is_picture(file))
        if not images:
            raise DataError(
                f"Expected {folder} to have images ({', '.join(PICTURE_SUFFIXES)}) but got none."
            )
        files += [(str(file), class_names.index(folder.name)) for file in images]
    if not files:
        raise DataError(f"Expected {parent} to have sub-folders of images but got none.")
    return files


def _split(files: Files, fractions: tuple[float, ...], class_names: list[str]) -> list[Files]:
    labels = np.array([label for _, label in files], dtype=np.int64)
    parts = fixed_split(labels, fractions, class_names)
    return [[files[i] for i in part] for part in parts]


def _subfolders(path: Path) -> list[Path]:
    return sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _is_picture(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return not hidden and path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()
