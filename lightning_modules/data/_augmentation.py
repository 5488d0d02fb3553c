"""Random crop and horizontal flip of a whole batch at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


Transform = Callable[[Tensor], Tensor]
"""Moves the pixels of a batch ``(batch, ..., height, width)``, in the same way at each call."""


def draw_crop_and_flip(
    shape: torch.Size, *, padding: int, horizontal_flip: bool, generator: torch.Generator
) -> Transform:
    """Draw a random shift and mirroring for each image of a batch.

    Args:
        shape: ``(batch, ..., height, width)`` of the batch.
        padding: Largest shift in pixels, up and down and to both sides; 0 leaves it out.
        horizontal_flip: Whether half of the images, at random, are mirrored left to right.
        generator: Source of randomness on the CPU, so that a seed means the same on every device.

    Returns:
        What moves the images so, and whatever else belongs to their pixels, such as masks of shape
        ``(batch, height, width)``: always in the same way. It makes a new tensor of the same
        shape, data type and device. Zeros move in at the border, which in normalised images are
        the mean.
    """
    batch, height, width = shape[0], shape[-2], shape[-1]
    tops, lefts = torch.randint(0, 2 * padding + 1, (2, batch, 1), generator=generator)
    rows = tops + torch.arange(height)
    columns = torch.arange(width).expand(batch, width)
    if horizontal_flip:
        flipped = torch.rand((batch, 1), generator=generator) < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    columns = lefts + columns
    # A pixel's place in its padded image, laid out in a line.
    places = rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]
    places = places.view(batch, 1, height * width)

    def move(pixels: Tensor) -> Tensor:
        maps = pixels.reshape(batch, -1, height, width)
        padded = F.pad(maps, (padding,) * 4).flatten(2)
        index = places.to(pixels.device).expand(-1, maps.shape[1], -1)
        return padded.gather(2, index).view(pixels.shape)

    return move
