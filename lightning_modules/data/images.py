"""A user's own pictures in folders named by class."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from functools import cached_property
import logging
import math
from pathlib import Path
from typing import Any

import torch

from lightning_modules.data._class_folders import ClassFolders
from lightning_modules.data._class_folders import Files
from lightning_modules.data._class_folders import list_class_folders
from lightning_modules.data._error import DataError
from lightning_modules.data._image_datamodule import ImageDataModule
from lightning_modules.data._picture import Header
from lightning_modules.data._picture import read_header
from lightning_modules.data._picture import Resize
from lightning_modules.data._picture_files import PictureFiles
from lightning_modules.data._picture_files import report_broken
from lightning_modules.data._picture_size import choose_size
from lightning_modules.data._progress import progress
from lightning_modules.data._split import SearchData
from lightning_modules.data._split import Split


IN_MEMORY_BYTES = 256 * 2**20
"""Pictures that take no more than this, decoded, are read once and kept in memory as bytes."""

_log = logging.getLogger(__name__)


class FolderDataModule(ImageDataModule):
    """Your own pictures in a folder.

    It has one sub-folder per class with picture files (png, jpg, jpeg, bmp, gif or webp). With
    sub-folders ``train`` and ``test`` (and perhaps ``val``) of such class folders, these are the
    official splits. Without them the pictures are split 60/20/20 percent, with an official test
    split alone the training pictures are split 80/20: both fixed, and in each class.

    Pictures are read as people see them: upright, in colour unless all are grayscale; see
    :func:`~lightning_modules.data._picture.read_picture`. All get one size.
    :func:`choose_size` chooses it if nobody does; then :attr:`notice` tells it, and so does the
    logger of this module, at level INFO.

    Training and validation pictures of at most 256 MiB, decoded, are kept in memory. Others are
    decoded by the loaders' workers in each epoch; then mean and standard deviation are those of
    a fixed choice of 5000 training pictures.

    A picture that cannot be read is left out with a warning that names it. More than 3 of them
    that are more than 1% of all are an error.

    Args:
        path: The folder.
        image_size: Height and width in pixels, or one number for both; :obj:`None` chooses it.
        resize: Whether a picture of another aspect ratio gets black bars on two sides (``"pad"``)
            or loses two sides (``"crop"``).
        **kwargs: The arguments of :class:`ImageDataModule`.

    Raises:
        ValueError: If ``image_size`` or ``resize`` is out of range.
        DataError: If ``path`` is no folder; on first use, if it is not of the form above.
    """

    path_kind = "a folder of pictures"
    """What :meth:`reads` reads, for an error message."""

    def __init__(
        self,
        path: str | Path,
        *,
        image_size: int | Sequence[int] | None = None,
        resize: Resize = "pad",
        **kwargs: Any,
    ) -> None:
        path = str(path)  # Hyperparameters are plain JSON types.
        image_size = _checked_size(image_size)
        if resize not in ("pad", "crop"):
            raise ValueError(
                f'Expected argument `resize` to be "pad" or "crop" but got {resize!r}.'
            )
        super().__init__(**kwargs)
        self.path = path
        self.image_size = image_size
        self.resize = resize
        if not Path(path).is_dir():
            came = "another kind of file" if Path(path).exists() else "no such folder"
            raise DataError(
                f"Expected argument `path` to be a folder of pictures but got {path}, {came}."
            )

    @staticmethod
    def reads(path: Path) -> bool:
        """Tell whether a path is a folder."""
        return path.is_dir()

    def read_search_data(self) -> SearchData:
        """Read the training and validation split; of the test pictures only the headers."""
        folders = self._folders
        train, validation = self._split(folders.train), self._split(folders.validation)
        if _n_bytes(train) + _n_bytes(validation) <= IN_MEMORY_BYTES:
            train, validation = _in_memory(train), _in_memory(validation)
        if self.notice is not None:
            _log.info(self.notice)
        return SearchData(train, validation, folders.class_names)

    def read_test_data(self) -> Split:
        """Read the test split."""
        test = self._split(self._folders.test)
        return _in_memory(test) if _n_bytes(test) <= IN_MEMORY_BYTES else test

    @property
    def notice(self) -> str | None:
        """The size that the pictures get, and why, if it was not given."""
        return self._size[1]

    @cached_property
    def _listed(self) -> tuple[ClassFolders, dict[str, Header]]:
        folders = list_class_folders(Path(self.path))
        files = folders.train + folders.validation + folders.test
        headers: dict[str, Header] = {}
        broken: dict[str, DataError] = {}
        for file, _ in progress(files, "looking at pictures", len(files)):
            try:
                headers[file] = read_header(file)
            except DataError as error:
                broken[file] = error
        report_broken(broken, len(files))
        return folders.map(lambda files: _readable(files, headers)), headers

    @cached_property
    def _folders(self) -> ClassFolders:
        return self._listed[0]

    @cached_property
    def _size(self) -> tuple[tuple[int, int], str | None]:
        size = self.image_size
        if size is not None:
            return (size, size) if isinstance(size, int) else (size[0], size[1]), None
        chosen, reason = choose_size(list(self._listed[1].values()))
        if reason is None:
            return chosen, None
        how = "get black bars" if self.resize == "pad" else "lose two sides"
        others = f"Those of another aspect ratio {how}. Argument `image_size` sets another size."
        return chosen, f"{reason} {others}"

    def _split(self, files: Files) -> Split:
        channels = max(header.channels for header in self._listed[1].values())
        paths = [path for path, _ in files]
        pictures = PictureFiles(paths, (channels, *self._size[0]), self.resize)
        return Split(pictures, torch.tensor([label for _, label in files]))


def _checked_size(size: int | Sequence[int] | None) -> int | list[int] | None:
    if size is None:
        return None
    sides = [size] if isinstance(size, int) else list(size)
    if len(sides) not in (1, 2) or min(sides) < 1 or (len(sides) == 1) != isinstance(size, int):
        raise ValueError(
            "Expected argument `image_size` to be a number of pixels or (height, width), "
            f"at least 1, but got {size}."
        )
    return size if isinstance(size, int) else sides


def _readable(files: Files, headers: Mapping[str, Header]) -> Files:
    readable = [(path, label) for path, label in files if path in headers]
    gone = {label for _, label in files} - {label for _, label in readable}
    if gone:
        path = next(path for path, label in files if label in gone)
        raise DataError(
            f"Expected the class of {path} to have a readable picture in each split but got none."
        )
    return readable


def _n_bytes(split: Split) -> int:
    return math.prod(split.inputs.shape)  # One byte a value.


def _in_memory(split: Split) -> Split:
    assert isinstance(split.inputs, PictureFiles)
    pictures = torch.empty(split.inputs.shape, dtype=torch.uint8)
    kept: list[int] = []
    for index, pixels in split.inputs.decode("reading pictures"):
        pictures[len(kept)] = torch.from_numpy(pixels)
        kept.append(index)
    return Split(pictures[: len(kept)], split.targets[torch.tensor(kept)])


DATA = FolderDataModule
