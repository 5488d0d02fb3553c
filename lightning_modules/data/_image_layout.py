"""Images out of arrays of any layout, with the channels first or last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_modules.data._error import DataError
from lightning_modules.data._numpy_files import Array


_CHANNELS = (1, 3, 4)


def image_shape(shape: Sequence[int], what: str) -> tuple[int, int, int]:
    """Tell the shape of an image, (channels, height, width), from that of an array of images.

    Args:
        shape: ``(n, height, width)``, ``(n, channels, height, width)`` or
            ``(n, height, width, channels)``. The axis of channels is the one with 1, 3 or 4
            entries of axis 1 and axis 3.
        what: What the array is, for the error message.

    Raises:
        DataError: If it is none of these, or both axes could be the channels.
    """
    if 0 not in shape and len(shape) == 3:
        return 1, shape[1], shape[2]
    if 0 not in shape and len(shape) == 4:
        first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
        if first and last:
            raise DataError(
                f"Expected {what} to have 1, 3 or 4 channels on axis 1 or on axis 3 but got shape "
                f"{tuple(shape)}, where it could be either: pad the images or drop an axis of 1."
            )
        if first:
            return shape[1], shape[2], shape[3]
        if last:
            return shape[3], shape[1], shape[2]
    raise DataError(
        f"Expected {what} to be images of shape (n, h, w), (n, h, w, c) or (n, c, h, w) with "
        f"c = 1, 3 or 4 but got shape {tuple(shape)}."
    )


def to_images(array: Array, what: str) -> Tensor:
    """Turn an array of images, see :func:`image_shape`, into float32 of (n, c, h, w)."""
    channels, height, width = image_shape(array.shape, what)
    if array.ndim == 4 and array.shape[1:] != (channels, height, width):
        array = np.moveaxis(array, 3, 1)
    return to_float(array, what).reshape(-1, channels, height, width)


def to_float(array: Array, what: str) -> Tensor:
    """Turn numbers into a float32 tensor of the same shape; uint8 is scaled to [0, 1].

    Raises:
        DataError: If they are no real numbers or not all finite in float32.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(f"Expected {what} to be integers or floats but got {array.dtype}.")
    with np.errstate(over="ignore"):
        values = torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
    if not torch.stack(torch.aminmax(values)).isfinite().all():
        raise DataError(f"Expected {what} to be finite but got NaN or infinity.")
    return values.div_(255) if array.dtype == np.uint8 else values
