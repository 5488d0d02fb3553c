"""Picture files that are decoded when they are asked for, and what happens to broken ones."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
import warnings

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_modules.data._error import DataError
from lightning_modules.data._picture import read_picture
from lightning_modules.data._picture import Resize
from lightning_modules.data._progress import progress
from lightning_modules.data._workers import usable_cores


_FEW = 3
_FEW_PER_CENT = 1
_N_NAMED = 5
_CHUNK = 256

Pixels = npt.NDArray[np.uint8]


class PictureFiles:
    """Pictures of one shape in files, like a uint8 tensor that is on disk.

    Args:
        paths: The files.
        shape: Channels, height and width that every picture is converted to.
        resize: See :func:`~lightning_modules.data._picture.read_picture`.
    """

    dtype = torch.uint8

    def __init__(
        self, paths: Sequence[str], shape: tuple[int, int, int], resize: Resize = "pad"
    ) -> None:
        self.paths = list(paths)
        self._shape = shape
        self.shape = torch.Size((len(self.paths), *shape))
        self.resize = resize

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Tensor) -> PictureFiles:
        """Return the files of int64 ``indices``; nothing is read."""
        return PictureFiles([self.paths[i] for i in indices], self._shape, self.resize)

    def followed_by(self, other: PictureFiles) -> PictureFiles:
        """Return these files, then those of the other, of the same shape."""
        return PictureFiles(self.paths + other.paths, self._shape, self.resize)

    def read(self, index: int) -> Tensor:
        """Decode one picture.

        Returns:
            uint8 of shape ``(channels, height, width)``.

        Raises:
            DataError: If the file cannot be read.
        """
        return torch.from_numpy(self._pixels(index))

    def read_batch(self, indices: Sequence[int]) -> tuple[Tensor, list[int]]:
        """Decode some pictures; a broken one is left out with a warning that names it.

        Returns:
            uint8 of shape ``(n, channels, height, width)``, and the indices of those ``n``.

        Raises:
            DataError: If none can be read.
        """
        pictures: list[Tensor] = []
        kept: list[int] = []
        for index in indices:
            try:
                pictures.append(self.read(index))
            except DataError as error:
                if not pictures and index == indices[-1]:
                    raise
                warnings.warn(f"{error} It is left out.", stacklevel=2)
            else:
                kept.append(index)
        return torch.stack(pictures), kept

    def decode(self, description: str) -> Iterator[tuple[int, Pixels]]:
        """Decode all pictures once, in threads, with a progress bar of the given description.

        Yields:
            Index and pixels of each picture that can be read, in order. At the end it is
            complained of the others, see :func:`report_broken`.
        """
        broken: dict[str, DataError] = {}
        with ThreadPoolExecutor(usable_cores()) as pool:
            everything = (
                result
                for start in range(0, len(self), _CHUNK)  # Not all of them wait in memory.
                for result in pool.map(
                    self._pixels_or_error, range(start, min(start + _CHUNK, len(self)))
                )
            )
            for index, result in enumerate(progress(everything, description, len(self))):
                if isinstance(result, DataError):
                    broken[self.paths[index]] = result
                else:
                    yield index, result
        report_broken(broken, len(self))

    def _pixels(self, index: int) -> Pixels:
        # A copy, as PyTorch wants memory that may be written to.
        return np.array(read_picture(self.paths[index], self._shape, self.resize), order="C")

    def _pixels_or_error(self, index: int) -> Pixels | DataError:
        try:
            return self._pixels(index)
        except DataError as error:
            return error


def report_broken(broken: Mapping[str, DataError], n_files: int) -> None:
    """Warn of broken pictures, which are left out, by name.

    Args:
        broken: What is wrong with each, by path.
        n_files: How many files there are, broken or not.

    Raises:
        DataError: If they are more than 3 and more than 1% of the files, or all.
    """
    if not broken:
        return
    first, *others = broken
    if len(others) >= _N_NAMED:
        others[_N_NAMED - 1 :] = [f"{len(others) - _N_NAMED + 1} more"]
    which = f"{broken[first]}{' Likewise: ' * bool(others)}{', '.join(others)}"
    if len(broken) > max(_FEW, n_files * _FEW_PER_CENT / 100) or len(broken) == n_files:
        raise DataError(
            f"Expected at most {_FEW} pictures or {_FEW_PER_CENT}% of {n_files} to be broken but "
            f"got {len(broken)}. {which}"
        )
    warnings.warn(f"{len(broken)} of {n_files} pictures are left out. {which}", stacklevel=2)
