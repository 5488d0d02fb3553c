"""A data module by the name or the path that a user gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_modules.datamodules._array import ArrayDataModule
from lightning_modules.datamodules._base import InMemoryDataModule
from lightning_modules.datamodules._digits import DigitsDataModule
from lightning_modules.datamodules._fashion_mnist import FashionMNISTDataModule


def make_datamodule(data: str, **kwargs: Any) -> InMemoryDataModule:
    """Make a data module.

    Args:
        data: ``"digits"``, ``"fashion-mnist"``, or the path of an ``.npz`` file or of a folder of
            images; ``"./digits"`` is a folder of that name.
        **kwargs: Arguments of :class:`DigitsDataModule`, :class:`FashionMNISTDataModule` or
            :class:`ArrayDataModule`.

    Raises:
        ValueError: If ``data`` is none of these.
    """
    if data == "digits":
        return DigitsDataModule(**kwargs)
    if data == "fashion-mnist":
        return FashionMNISTDataModule(**kwargs)
    path = Path(data).expanduser()
    if not data or not path.exists():
        raise ValueError(
            'Expected argument `data` to be "digits", "fashion-mnist", or the path of an .npz '
            f"file or of a folder of images but got {data!r}."
        )
    return ArrayDataModule(path, **kwargs)
