"""The operations of DARTS, NASNet and AmoebaNet cells, by the names that genotypes use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import torch
from torch import nn

from lightning_modules.spaces.cell.operations import OperationFactory
from lightning_modules.spaces.cell.operations import OPERATIONS
from lightning_modules.spaces.cell.operations import ReLUConvBN


class SeparableConv(nn.Module):
    """ReLU, depthwise and 1x1 convolution, batch normalisation, ``repeats`` times in a row.

    Twice makes ``sep_conv`` (Zoph et al., CVPR 2018, appendix A.4; Liu et al., ICLR 2019, section
    3.1), once with a dilation makes ``dil_conv``.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        kernel_size: Odd size of the depthwise kernel; the padding keeps height and width.
        stride: Stride of the first depthwise convolution.
        dilation: Dilation of the depthwise convolutions.
        repeats: How often; all but the last keep ``channels_in``.
        affine: Whether batch normalisation has learned weights.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int,
        stride: int = 1,
        *,
        dilation: int = 1,
        repeats: int = 2,
        affine: bool = True,
    ) -> None:
        super().__init__()
        units: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(1, repeats + 1):
            channels = channels_out if i == repeats else channels_in
            depthwise = nn.Conv2d(
                channels_in,
                channels_in,
                kernel_size,
                stride if i == 1 else 1,
                padding=dilation * (kernel_size // 2),
                dilation=dilation,
                groups=channels_in,
                bias=False,
            )
            units[f"unit_{i}"] = nn.Sequential(
                OrderedDict(
                    relu=nn.ReLU(),
                    depthwise=depthwise,
                    pointwise=nn.Conv2d(channels_in, channels, 1, bias=False),
                    norm=nn.BatchNorm2d(channels, affine=affine),
                )
            )
        self.units = nn.Sequential(units)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels_out, ceil(h/s), ceil(w/s))."""
        y: torch.Tensor = self.units(x)
        return y


class FactorizedConv(nn.Module):
    """ReLU, a 1xk and a kx1 convolution, batch normalisation (Zoph et al., CVPR 2018, section 3).

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        kernel_size: Odd k.
        stride: Stride along the width in the first and along the height in the second convolution.
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
        k, half = kernel_size, kernel_size // 2
        self.row = nn.Conv2d(
            channels_in, channels_out, (1, k), (1, stride), padding=(0, half), bias=False
        )
        self.column = nn.Conv2d(
            channels_out, channels_out, (k, 1), (stride, 1), padding=(half, 0), bias=False
        )
        self.norm = nn.BatchNorm2d(channels_out, affine=affine)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels_out, ceil(h/s), ceil(w/s))."""
        normed: torch.Tensor = self.norm(self.column(self.row(torch.relu(x))))
        return normed


def _separable(
    kernel_size: int,
    dilation: int,
    repeats: int,
    channels_in: int,
    channels_out: int,
    stride: int = 1,
    *,
    affine: bool = True,
) -> nn.Module:
    return SeparableConv(
        channels_in,
        channels_out,
        kernel_size,
        stride,
        dilation=dilation,
        repeats=repeats,
        affine=affine,
    )


def _factorized(
    kernel_size: int, channels_in: int, channels_out: int, stride: int = 1, *, affine: bool = True
) -> nn.Module:
    return FactorizedConv(channels_in, channels_out, kernel_size, stride, affine=affine)


def _max_pool(
    kernel_size: int, channels_in: int, channels_out: int, stride: int = 1, *, affine: bool = True
) -> nn.Module:
    pool = nn.MaxPool2d(kernel_size, stride=stride, padding=kernel_size // 2)
    if channels_in == channels_out:
        return pool
    return nn.Sequential(ReLUConvBN(channels_in, channels_out, 1, affine=affine), pool)


CELL_OPERATIONS: Mapping[str, OperationFactory] = MappingProxyType(
    {
        **OPERATIONS,
        "max_pool_3x3": partial(_max_pool, 3),
        "max_pool_5x5": partial(_max_pool, 5),
        "max_pool_7x7": partial(_max_pool, 7),
        "sep_conv_3x3": partial(_separable, 3, 1, 2),
        "sep_conv_5x5": partial(_separable, 5, 1, 2),
        "sep_conv_7x7": partial(_separable, 7, 1, 2),
        "dil_conv_3x3": partial(_separable, 3, 2, 1),
        "dil_conv_5x5": partial(_separable, 5, 2, 1),
        "conv_3x1_1x3": partial(_factorized, 3),
        "conv_7x1_1x7": partial(_factorized, 7),
    }
)
"""The operations of NAS-Bench-201, DARTS (Liu et al., ICLR 2019, section 3.1) and NASNet (Zoph et
al., CVPR 2018, section 3) by their names."""
