"""Reading image files, and new images for prediction."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
import struct

import numpy as np
import numpy.typing as npt
from PIL import Image
import torch
from torch import Tensor

from lightning_modules.datamodules._arrays import Array
from lightning_modules.datamodules._arrays import open_npz
from lightning_modules.datamodules._arrays import read_array
from lightning_modules.datamodules._arrays import read_npy
from lightning_modules.datamodules._arrays import to_float
from lightning_modules.datamodules._data import normalise
from lightning_modules.datamodules._error import DataError


IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
"""File names of images end in one of these, in small or capital letters."""

_GRAYSCALE = ("1", "L", "LA", "La", "F", "I")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def load_images(
    paths: Sequence[str | Path] | str | Path,
    input_shape: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
) -> Tensor:
    """Load new images in the form that a network was trained on.

    Image files are converted to grayscale or colour and resized as needed, without regard to
    their aspect ratio; their values are scaled to [0, 1]. Arrays must have the right size and the
    units of the training data; uint8 is scaled to [0, 1]. Array ``X`` of an ``.npz`` file counts.

    Args:
        paths: Image files, or ``.npy`` or ``.npz`` files of one image, ``(h, w)``,
            ``(h, w, c)`` or ``(c, h, w)``, or of several, with an axis in front.
        input_shape: Shape of an image: channels, height, width.
        mean: Mean of each channel, as the data module has it.
        std: Standard deviation of each channel, as the data module has it.

    Returns:
        Normalised images in the order of ``paths``, float32 of shape
        ``(n, channels, height, width)``.

    Raises:
        ValueError: If there are no paths, or ``mean`` or ``std`` do not fit ``input_shape``.
        DataError: If a file cannot be read or holds images of another shape.
    """
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not files:
        raise ValueError("Expected argument `paths` to name at least one file but got none.")
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != input_shape[0]:
            raise ValueError(
                f"Expected argument `{name}` to have a value for each of the {input_shape[0]} "
                f"channels of `input_shape` but got {list(values)}."
            )
    images = torch.cat([_load(path, input_shape) for path in files])
    return normalise(images, torch.tensor(mean), torch.tensor(std))


def _load(path: Path, input_shape: tuple[int, int, int]) -> Tensor:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _fit(read_npy(path), input_shape, str(path))
    if suffix == ".npz":
        with open_npz(path) as archive:
            array = read_array(archive, path, "X")
        return _fit(array, input_shape, f"array `X` of {path}")
    return to_float(read_image(path, input_shape)[None], str(path))


def _fit(array: Array, input_shape: tuple[int, int, int], what: str) -> Tensor:
    channels, height, width = input_shape
    single = [  # The shape of one image, and the order of its axes that makes it (c, h, w).
        ((channels, height, width), (0, 1, 2)),
        ((height, width, channels), (2, 0, 1)),
    ]
    for shape, order in single:
        # An array of grayscale images may go without the axis of channels.
        for array_shape in {shape, (height, width) if channels == 1 else shape}:
            n_leading = array.ndim - len(array_shape)
            if n_leading in (0, 1) and array.shape[n_leading:] == array_shape and array.size:
                images = array.reshape(-1, *shape).transpose(0, *(axis + 1 for axis in order))
                return to_float(images, what)
    raise DataError(
        f"Expected {what} to be one or several images of {channels} channels, height {height} and "
        f"width {width} but got shape {array.shape}."
    )


def image_format(path: Path) -> tuple[int, int, int]:
    """Read the header of an image file.

    Returns:
        Channels (1 for grayscale, else 3), height, width.

    Raises:
        DataError: If the file cannot be read.
    """
    with _opened(path) as image:
        grayscale = image.mode in _GRAYSCALE or image.mode.startswith("I;16")
        return 1 if grayscale else 3, image.height, image.width


def read_image(path: Path, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Read an image file.

    Args:
        path: The file.
        shape: Channels (1, 3 or 4), height and width to convert and resize the image to.

    Returns:
        uint8 of the given shape.

    Raises:
        ValueError: If there is no image with such channels.
        DataError: If the file cannot be read.
    """
    channels, height, width = shape
    if channels not in _MODES:
        raise ValueError(f"Expected images of 1, 3 or 4 channels but got {channels}.")
    with _opened(path) as opened:
        image: Image.Image = opened
        if image.mode.startswith("I"):  # Pillow clips 16 bits at 255 instead of scaling them.
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        elif image.mode == "P":  # Straight to another mode Pillow warns about transparency.
            image = image.convert("RGBA")
        image = image.convert(_MODES[channels])
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(image, dtype=np.uint8).reshape(height, width, channels)
    return np.moveaxis(pixels, 2, 0)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
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
