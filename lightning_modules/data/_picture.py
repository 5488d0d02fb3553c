"""One picture file: its header, and its pixels in the size and the channels that are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
import struct
from typing import Literal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL import ImageOps

from lightning_modules.data._error import DataError


PICTURE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
"""File names of pictures end in one of these, in small or capital letters."""

Resize = Literal["pad", "crop"]
"""How a picture of another aspect ratio fits: with black bars, or by its centre."""

_GRAYSCALE = ("1", "L", "LA", "La", "F", "I")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ORIENTATION = 0x0112  # The EXIF tag; from 5 on, width and height change places.


class Header(NamedTuple):
    """What the header of a picture tells."""

    channels: int
    """1 for grayscale, else 3."""
    height: int
    """In pixels, as the picture is looked at."""
    width: int


def read_header(path: str) -> Header:
    """Read the header of a picture file.

    Raises:
        DataError: If the file cannot be read.
    """
    with _opened(path) as image:
        grayscale = image.mode in _GRAYSCALE or image.mode.startswith("I;16")
        # Of a PNG without EXIF at its start, Pillow would decode the whole to look for some.
        has_exif = image.format != "PNG" or "exif" in image.info
        turned = has_exif and image.getexif().get(_ORIENTATION, 1) >= 5
        size = (image.width, image.height) if turned else (image.height, image.width)
        return Header(1 if grayscale else 3, *size)


def read_picture(
    path: str | os.PathLike[str], shape: tuple[int, int, int], resize: Resize
) -> npt.NDArray[np.uint8]:
    """Read a picture file as people see it.

    It is turned as its EXIF data says; of an animation the first picture counts. What is
    transparent shows a white ground, unless there are 4 channels. 16 bits are scaled to 8.

    Args:
        path: The file.
        shape: Channels (1 grayscale, 3 colour, 4 colour with opacity), height and width.
        resize: Whether a picture of another aspect ratio gets black bars on two sides or loses
            two sides; it is never distorted.

    Returns:
        uint8 of the given shape.

    Raises:
        ValueError: If there is no picture with such channels.
        DataError: If the file cannot be read.
    """
    channels, height, width = shape
    if channels not in _MODES:
        raise ValueError(f"Expected images of 1, 3 or 4 channels but got {channels}.")
    with _opened(path) as opened:
        # A large JPEG file is decoded to a fraction of its size, no smaller than twice this one.
        opened.draft(None, (2 * max(height, width),) * 2)
        image = _converted(ImageOps.exif_transpose(opened), channels)
        if image.size != (width, height):
            size, how = (width, height), Image.Resampling.BILINEAR
            if resize == "crop":
                image = ImageOps.fit(image, size, how)
            else:
                image = ImageOps.pad(image, size, how, color=0)
        pixels = np.asarray(image, dtype=np.uint8).reshape(height, width, channels)
    return np.moveaxis(pixels, 2, 0)


def _converted(image: Image.Image, channels: int) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow clips 16 bits at 255 instead of scaling them.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if channels != 4:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(_MODES[channels])


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    # The errors are those that Pillow raises for damaged files, while opening or later.
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError as error:
        raise DataError(f"Expected {path} to be an image file but got no such file.") from error
    except (
        OSError,
        EOFError,
        ValueError,
        SyntaxError,
        struct.error,
        Image.DecompressionBombError,
    ) as error:
        raise DataError(
            f"Expected {path} to be a readable image but got {type(error).__name__}: {error}."
        ) from error
