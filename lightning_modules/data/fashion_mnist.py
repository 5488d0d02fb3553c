"""Fashion-MNIST, read from its four gzip IDX files."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any
import zlib

import numpy as np
import numpy.typing as npt
import torch

from lightning_modules.data._error import DataError
from lightning_modules.data._image_datamodule import ImageDataModule
from lightning_modules.data._partition import fixed_split
from lightning_modules.data._split import SearchData
from lightning_modules.data._split import Split


_CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_HOW_TO_GET = (
    "To get the data, run `apt-get install dataset-fashion-mnist` on Debian or Ubuntu, or put the "
    "four IDX files of Fashion-MNIST into a folder and name it in argument `folder`."
)
_HEADERS = {"images": (2051, 3), "labels": (2049, 1)}
"""Magic number and number of dimensions of each kind of IDX file."""


class FashionMNISTDataModule(ImageDataModule):
    """70,000 grayscale images of 28x28 pixels in 10 classes of clothing.

    Of the 60,000 official training images a fixed stratified choice of 10,000 is the validation
    split; the official 10,000 test images are the test split.

    Args:
        folder: The folder with ``train-images-idx3-ubyte.gz``, ``train-labels-idx1-ubyte.gz``,
            ``t10k-images-idx3-ubyte.gz`` and ``t10k-labels-idx1-ubyte.gz``. The default is where
            the package ``dataset-fashion-mnist`` of Debian and Ubuntu puts them.
        **kwargs: The arguments of :class:`ImageDataModule`.

    Raises:
        DataError: On first use, if a file is missing or damaged.
    """

    def __init__(
        self, folder: str | Path = "/usr/share/datasets/fashion-mnist", **kwargs: Any
    ) -> None:
        folder = str(folder)  # Hyperparameters are plain JSON types.
        super().__init__(**kwargs)
        self.folder = folder

    def read_search_data(self) -> SearchData:
        """Read the official training images and split them."""
        images, labels = _read_images_and_labels(Path(self.folder), "train")
        train, validation = (
            Split(_scaled(images[part]), torch.from_numpy(labels[part]))
            for part in fixed_split(labels, (5 / 6, 1 / 6), _CLASS_NAMES)
        )
        return SearchData(train, validation, list(_CLASS_NAMES))

    def read_test_data(self) -> Split:
        """Read the official test images."""
        images, labels = _read_images_and_labels(Path(self.folder), "t10k")
        return Split(_scaled(images), torch.from_numpy(labels))


def _scaled(images: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(images).unsqueeze(1).float().div_(255)


def _read_images_and_labels(
    folder: Path, prefix: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    images_path = folder / f"{prefix}-images-idx3-ubyte.gz"
    labels_path = folder / f"{prefix}-labels-idx1-ubyte.gz"
    images = _read_idx(images_path, "images")
    labels = _read_idx(labels_path, "labels").astype(np.int64)
    if len(images) != len(labels):
        raise DataError(
            f"Expected {labels_path} to have as many labels as {images_path} has images "
            f"({len(images)}) but got {len(labels)}. {_HOW_TO_GET}"
        )
    if labels.max(initial=0) >= len(_CLASS_NAMES):
        raise DataError(
            f"Expected {labels_path} to have labels from 0 to 9 but got {labels.max()}. "
            f"{_HOW_TO_GET}"
        )
    return images, labels


def _read_idx(path: Path, kind: str) -> npt.NDArray[np.uint8]:
    magic, n_dimensions = _HEADERS[kind]
    content = _decompress(path)
    n_header = 4 * (1 + n_dimensions)
    if len(content) < n_header:
        raise DataError(
            f"Expected {path} to start with {n_header} bytes of IDX header but got "
            f"{len(content)} bytes. {_HOW_TO_GET}"
        )
    found, *shape = (int(value) for value in np.frombuffer(content[:n_header], dtype=">u4"))
    if found != magic:
        raise DataError(
            f"Expected {path} to be an IDX file of {kind} with the magic number {magic} "
            f"but got {found}. {_HOW_TO_GET}"
        )
    if len(content) - n_header != math.prod(shape):
        raise DataError(
            f"Expected {path} to hold {math.prod(shape)} bytes of {kind}, as its header says, "
            f"but got {len(content) - n_header}. {_HOW_TO_GET}"
        )
    # A copy, as torch wants memory that may be written to.
    return np.frombuffer(content, dtype=np.uint8, offset=n_header).reshape(shape).copy()


def _decompress(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read()
    except FileNotFoundError:
        came = "no such file"
    except (OSError, EOFError, zlib.error) as error:
        came = f"an error ({type(error).__name__}: {error})"
    raise DataError(f"Expected {path} to be a complete gzip file but got {came}. {_HOW_TO_GET}")


DATA = FashionMNISTDataModule
