"""A data module by the name or the path that a user gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_modules.data.datamodule import ImageDataModule
from lightning_modules.data.digits import DigitsDataModule
from lightning_modules.data.fashion_mnist import FashionMNISTDataModule
from lightning_modules.data.folder import FolderDataModule
from lightning_modules.data.npz import NpzDataModule


def make_datamodule(
    data: str, *, image_size: int | Sequence[int] | None = None, **kwargs: Any
) -> ImageDataModule:
    """Make a data module.

    Args:
        data: ``"digits"``, ``"fashion-mnist"``, or the path of an ``.npz`` file or of a folder of
            pictures; ``"./digits"`` is a folder of that name.
        image_size: Height and width of the pictures of a folder, see :class:`FolderDataModule`;
            :obj:`None` for all others, whose images have a size of their own.
        **kwargs: Arguments of :class:`DigitsDataModule`, :class:`FashionMNISTDataModule`,
            :class:`NpzDataModule` or :class:`FolderDataModule`.

    Raises:
        ValueError: If ``data`` is none of these, or ``image_size`` is given for no folder.
    """
    path = Path(data).expanduser()
    named = {"digits": DigitsDataModule, "fashion-mnist": FashionMNISTDataModule}
    if data not in named and (not data or not path.exists()):
        raise ValueError(
            'Expected argument `data` to be "digits", "fashion-mnist", or the path of an .npz '
            f"file or of a folder of images but got {data!r}."
        )
    if data not in named and path.is_dir():
        return FolderDataModule(path, image_size=image_size, **kwargs)
    if image_size is not None:
        raise ValueError(
            f"Expected argument `image_size` to be None, as the images of {data} have a size of "
            f"their own and only those of a folder are resized, but got {image_size}."
        )
    return named[data](**kwargs) if data in named else NpzDataModule(path, **kwargs)
