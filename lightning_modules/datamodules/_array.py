"""The data module for a user's own images, in an ``.npz`` file or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_modules.datamodules._base import InMemoryDataModule
from lightning_modules.datamodules._data import LabeledImages
from lightning_modules.datamodules._data import SearchData
from lightning_modules.datamodules._error import DataError
from lightning_modules.datamodules._folder import FolderSource
from lightning_modules.datamodules._npz import NpzSource


class ArrayDataModule(InMemoryDataModule):
    """Your own labelled images.

    An ``.npz`` file has the arrays ``X``, numbers of shape ``(n, h, w)``, ``(n, h, w, c)`` or
    ``(n, c, h, w)`` with 1, 3 or 4 channels, and ``y``, integers or strings of shape ``(n,)``. The
    classes are the sorted different values of ``y``. With ``X_test`` and ``y_test`` (and perhaps
    ``X_val`` and ``y_val``) beside them, these are the official splits.

    A folder has one sub-folder per class with image files (png, jpg, jpeg, bmp, gif or webp),
    which are read in colour unless all are grayscale; transparency is ignored. With sub-folders
    ``train`` and ``test`` (and perhaps ``val``) of such class folders, these are the official
    splits.

    Without official splits the data is split 60/20/20 percent, with an official test split alone
    the training images are split 80/20: both fixed, and in each class. Values of type uint8 are
    scaled to [0, 1] before normalisation.

    Args:
        path: The ``.npz`` file or the folder.
        image_size: Height and width in pixels to resize the images of a folder to; :obj:`None`
            keeps their size, which then has to be the same for all.
        **kwargs: The arguments of :class:`InMemoryDataModule`.

    Raises:
        ValueError: If ``image_size`` is out of range or given for an ``.npz`` file.
        DataError: If ``path`` is neither an ``.npz`` file nor a folder; on first use, if the data
            is damaged or not of the form above.
    """

    def __init__(self, path: str | Path, *, image_size: int | None = None, **kwargs: Any) -> None:
        path = str(path)  # Hyperparameters are plain JSON types.
        super().__init__(**kwargs)
        self.path = path
        self.image_size = image_size
        self._source = _make_source(Path(path), image_size)

    def read_search_data(self) -> SearchData:
        """Read the training and validation split."""
        return self._source.read_search_data()

    def read_test_data(self) -> LabeledImages:
        """Read the test split."""
        return self._source.read_test_data()


def _make_source(path: Path, image_size: int | None) -> NpzSource | FolderSource:
    if image_size is not None and image_size < 1:
        raise ValueError(f"Expected argument `image_size` to be at least 1 but got {image_size}.")
    if path.is_dir():
        return FolderSource(path, image_size)
    if path.is_file() and path.suffix.lower() == ".npz":
        if image_size is not None:
            raise ValueError(
                f"Expected argument `image_size` to be None, as {path} is no folder, "
                f"but got {image_size}."
            )
        return NpzSource(path)
    came = "another kind of file" if path.exists() else "no such file"
    raise DataError(
        f"Expected argument `path` to be an .npz file or a folder of images but got {path}, "
        f"{came}."
    )
