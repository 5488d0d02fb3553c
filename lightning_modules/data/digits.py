"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
import torch

from lightning_modules.data._image_datamodule import ImageDataModule
from lightning_modules.data._partition import fixed_split
from lightning_modules.data._partition import TRAIN_VALIDATION_TEST
from lightning_modules.data._split import SearchData
from lightning_modules.data._split import Split


class DigitsDataModule(ImageDataModule):
    """1797 images of 8x8 pixels in 10 classes, in a fixed stratified split of 60/20/20 percent.

    The arguments are those of :class:`ImageDataModule`.

    Example:

        >>> data = DigitsDataModule(batch_size=64)
        >>> data.input_shape, len(data.class_names)
        ((1, 8, 8), 10)
    """

    def read_search_data(self) -> SearchData:
        """Read the training and validation split."""
        train, validation, _ = _read_splits()
        return SearchData(train, validation, [str(digit) for digit in range(10)])

    def read_test_data(self) -> Split:
        """Read the test split."""
        return _read_splits()[2]


def _read_splits() -> list[Split]:
    digits = load_digits()
    images = torch.from_numpy(digits.images).float().unsqueeze(1) / 16
    labels = digits.target.astype(np.int64)
    parts = fixed_split(labels, TRAIN_VALIDATION_TEST, [str(digit) for digit in range(10)])
    return [Split(images[part], torch.from_numpy(labels[part])) for part in parts]


DATA = DigitsDataModule
