"""Data modules: labelled images in memory, with fixed splits, for search and final training."""

from lightning_modules.datamodules._array import ArrayDataModule
from lightning_modules.datamodules._base import InMemoryDataModule
from lightning_modules.datamodules._data import LabeledImages
from lightning_modules.datamodules._data import SearchData
from lightning_modules.datamodules._digits import DigitsDataModule
from lightning_modules.datamodules._error import DataError
from lightning_modules.datamodules._factory import make_datamodule
from lightning_modules.datamodules._fashion_mnist import FashionMNISTDataModule
from lightning_modules.datamodules._images import load_images
from lightning_modules.datamodules._loader import TrainingBatch


__all__ = [
    "ArrayDataModule",
    "DataError",
    "DigitsDataModule",
    "FashionMNISTDataModule",
    "InMemoryDataModule",
    "LabeledImages",
    "SearchData",
    "TrainingBatch",
    "load_images",
    "make_datamodule",
]
