"""Candidate operations of a cell's edge, by the names that search spaces use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import torch
from torch import nn


class OperationFactory(Protocol):
    """Makes one candidate operation."""

    def __call__(
        self, channels_in: int, channels_out: int, stride: int = 1, *, affine: bool = True
    ) -> nn.Module:
        """Return a module from (batch, channels_in, h, w) to (batch, channels_out, h/s, w/s).

        Args:
            channels_in: Channels of the input.
            channels_out: Channels of the output.
            stride: 1 or 2; with 2, odd sizes are rounded up.
            affine: Whether batch normalisation has learned weights; a supernet turns them off.
        """
        ...


class ReLUConvBN(nn.Module):
    """ReLU, convolution without bias, batch normalisation, in this order.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        kernel_size: Odd size of the kernel; the padding keeps height and width.
        stride: Stride of the convolution.
        affine: Whether batch normalisation has learned weights.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int,
        stride: int = 1,
        *,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel_size, stride, padding=kernel_size // 2, bias=False
        )
        self.norm = nn.BatchNorm2d(channels_out, affine=affine)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels_in, height, width) to (batch, channels_out, ...)."""
        normed: torch.Tensor = self.norm(self.conv(torch.relu(x)))
        return normed


class Zero(nn.Module):
    """Zeros in the shape of the other operations; the input keeps a gradient, which is zero."""

    makes_zeros = True
    """A supernet does not compute such an operation."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int = 1, *, affine: bool = True
    ) -> None:
        super().__init__()
        self.channels_out = channels_out if channels_out != channels_in else None
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels_in, height, width) to zeros (batch, channels_out, ...)."""
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.channels_out is not None:
            x = x[:, :1].expand(-1, self.channels_out, -1, -1)
        return x * 0.0


class FactorizedReduce(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2 on shifted grids, joined, and batch normalisation.

    It halves the map without dropping three of four inputs, as in the published code of
    NAS-Bench-201 and of DARTS (Liu et al., ICLR 2019).

    Raises:
        ValueError: If ``channels_out`` is less than 2.
    """

    def __init__(self, channels_in: int, channels_out: int, *, affine: bool = True) -> None:
        super().__init__()
        if channels_out < 2:
            raise ValueError(
                f"Expected argument `channels_out` to be at least 2 but got {channels_out}."
            )
        half = channels_out // 2
        self.conv_even = nn.Conv2d(channels_in, half, 1, stride=2, bias=False)
        self.conv_odd = nn.Conv2d(channels_in, channels_out - half, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out, affine=affine)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels_out, ceil(h/2), ceil(w/2))."""
        x = torch.relu(x)
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        joined = torch.cat([self.conv_even(x), self.conv_odd(shifted)], dim=1)
        normed: torch.Tensor = self.norm(joined)
        return normed


def _skip_connect(
    channels_in: int, channels_out: int, stride: int = 1, *, affine: bool = True
) -> nn.Module:
    if stride == 2:
        return FactorizedReduce(channels_in, channels_out, affine=affine)
    if channels_in != channels_out:
        return ReLUConvBN(channels_in, channels_out, 1, affine=affine)
    return nn.Identity()


def _nor_conv_1x1(
    channels_in: int, channels_out: int, stride: int = 1, *, affine: bool = True
) -> nn.Module:
    return ReLUConvBN(channels_in, channels_out, 1, stride, affine=affine)


def _nor_conv_3x3(
    channels_in: int, channels_out: int, stride: int = 1, *, affine: bool = True
) -> nn.Module:
    return ReLUConvBN(channels_in, channels_out, 3, stride, affine=affine)


def _avg_pool_3x3(
    channels_in: int, channels_out: int, stride: int = 1, *, affine: bool = True
) -> nn.Module:
    pool = nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
    if channels_in == channels_out:
        return pool
    return nn.Sequential(ReLUConvBN(channels_in, channels_out, 1, affine=affine), pool)


OPERATIONS: Mapping[str, OperationFactory] = MappingProxyType(
    {
        "none": Zero,
        "skip_connect": _skip_connect,
        "nor_conv_1x1": _nor_conv_1x1,
        "nor_conv_3x3": _nor_conv_3x3,
        "avg_pool_3x3": _avg_pool_3x3,
    }
)
"""The operations of NAS-Bench-201 (Dong & Yang, ICLR 2020, section 2.1) by their names."""


def make_operation(
    name: str, channels_in: int, channels_out: int, stride: int = 1, *, affine: bool = True
) -> nn.Module:
    """Make the operation ``name``; see :class:`OperationFactory` for the arguments.

    Raises:
        ValueError: If ``name`` is not one of :data:`OPERATIONS` or ``stride`` not 1 or 2.
    """
    factory = OPERATIONS.get(name)
    if factory is None:
        raise ValueError(
            f"Expected argument `name` to be an operation of {list(OPERATIONS)} but got {name!r}."
        )
    if stride not in (1, 2):
        raise ValueError(f"Expected argument `stride` to be 1 or 2 but got {stride}.")
    return factory(channels_in, channels_out, stride, affine=affine)
