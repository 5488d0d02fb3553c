"""Data modules with fixed splits for search and final training, and what reads new images."""

from lightning_modules.data._augmentation import Transform
from lightning_modules.data._draw import draw_batches
from lightning_modules.data._error import DataError
from lightning_modules.data._factory import check_preprocessing
from lightning_modules.data._factory import find_data
from lightning_modules.data._factory import load_new
from lightning_modules.data._factory import make_datamodule
from lightning_modules.data._factory import preprocessing_of
from lightning_modules.data._factory import settings_of
from lightning_modules.data._image_datamodule import ImageDataModule
from lightning_modules.data._loader import TrainingBatch
from lightning_modules.data._new_images import load_images
from lightning_modules.data._new_images import make_transform
from lightning_modules.data._numpy_files import read_tensor
from lightning_modules.data._picture_files import PictureFiles
from lightning_modules.data._split import SearchData
from lightning_modules.data._split import Split
from lightning_modules.data.digits import DigitsDataModule
from lightning_modules.data.fashion_mnist import FashionMNISTDataModule
from lightning_modules.data.images import FolderDataModule
from lightning_modules.data.npz import NpzDataModule


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
    "check_preprocessing",
    "draw_batches",
    "find_data",
    "load_images",
    "load_new",
    "make_datamodule",
    "make_transform",
    "preprocessing_of",
    "read_tensor",
    "settings_of",
]
