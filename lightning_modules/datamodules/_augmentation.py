"""Random crop and horizontal flip of a whole batch at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def crop_and_flip(
    images: Tensor, *, padding: int, horizontal_flip: bool, generator: torch.Generator
) -> Tensor:
    """Shift and mirror each image at random.

    Args:
        images: Images of shape ``(batch, channels, height, width)``. Zeros move in at the border,
            which in normalised images are the mean.
        padding: Largest shift in pixels, up and down and to both sides; 0 leaves it out.
        horizontal_flip: Whether half of the images, at random, are mirrored left to right.
        generator: Source of randomness on the CPU, so that a seed means the same on every device.

    Returns:
        New images of the same shape, data type and device.
    """
    batch, channels, height, width = images.shape
    tops, lefts = torch.randint(0, 2 * padding + 1, (2, batch, 1), generator=generator)
    rows = tops + torch.arange(height)
    columns = torch.arange(width).expand(batch, width)
    if horizontal_flip:
        flipped = torch.rand((batch, 1), generator=generator) < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    columns = lefts + columns
    # A pixel's place in its padded image, laid out in a line.
    places = rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]
    places = places.view(batch, 1, height * width).to(images.device)
    padded = F.pad(images, (padding,) * 4).flatten(2)
    return padded.gather(2, places.expand(-1, channels, -1)).view(images.shape)
