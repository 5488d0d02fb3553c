"""Modules for what networks compute between their modules, so that it can be measured."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor


class Add(nn.Module):
    """A sum of two maps, as of two edges into a node."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to the same shape."""
        return x + x


class Concat(nn.Module):
    """Maps joined along the channels.

    Args:
        n: Number of maps.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to (batch, n * channels, height, width)."""
        return torch.cat([x] * self.n, dim=1)


def pool_and_flatten() -> nn.Module:
    """Return the mean of a map (batch, channels, height, width), of shape (batch, channels)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
