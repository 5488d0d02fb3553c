"""Data modules with fixed splits for search and final training, and what reads new images."""

from lightning_modules.data.augmentation import Transform
from lightning_modules.data.datamodule import ImageDataModule
from lightning_modules.data.digits import DigitsDataModule
from lightning_modules.data.draw import draw_batches
from lightning_modules.data.error import DataError
from lightning_modules.data.factory import make_datamodule
from lightning_modules.data.fashion_mnist import FashionMNISTDataModule
from lightning_modules.data.folder import FolderDataModule
from lightning_modules.data.loader import TrainingBatch
from lightning_modules.data.new_images import load_images
from lightning_modules.data.new_images import make_transform
from lightning_modules.data.npz import NpzDataModule
from lightning_modules.data.picture_files import PictureFiles
from lightning_modules.data.split import SearchData
from lightning_modules.data.split import Split


__all__ = [
    "DataError",
    "DigitsDataModule",
    "FashionMNISTDataModule",
    "FolderDataModule",
    "ImageDataModule",
    "NpzDataModule",
    "PictureFiles",
    "SearchData",
    "Split",
    "TrainingBatch",
    "Transform",
    "draw_batches",
    "load_images",
    "make_datamodule",
    "make_transform",
]
