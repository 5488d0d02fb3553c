"""From the decisions of a mobile architecture to the sizes of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import Any

from optuna_nas.spaces.mobile._stage import blocks_of
from optuna_nas.spaces.mobile._stage import n_stages


@dataclass(frozen=True)
class MobileBlock:
    """The sizes of one inverted bottleneck.

    Args:
        name: ``stage_i_block_j``, from 1; blocks that compound scaling adds are numbered on.
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: Stride of the depthwise convolution.
        kernel: Size of the depthwise kernel.
        hidden: Channels of the depthwise convolution.
        expands: Whether a 1x1 convolution makes the hidden channels.
        squeeze: Channels inside the squeeze-and-excitation, 0 for none.
        activation: Of :data:`~optuna_nas.spaces.MOBILE_ACTIVATIONS`.
    """

    name: str
    channels_in: int
    channels_out: int
    stride: int
    kernel: int
    hidden: int
    expands: bool
    squeeze: int
    activation: str

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.channels_in == self.channels_out


@dataclass(frozen=True)
class MobilePlan:
    """The sizes of a whole network.

    Args:
        style: Of :data:`~optuna_nas.spaces.MOBILE_STYLES`.
        resolution: Height and width to which images are resized, :obj:`None` to take them as
            they are.
        stem_width: Channels of the first convolution.
        stem_stride: Its stride.
        blocks: The blocks in order, without skipped ones.
        head_conv: Channels of the last convolution.
        head_linear: Features of the layer between pooling and classifier, 0 for none.
    """

    style: str
    resolution: int | None
    stem_width: int
    stem_stride: int
    blocks: tuple[MobileBlock, ...]
    head_conv: int
    head_linear: int

    @property
    def activation(self) -> str:
        """The activation of stem and head."""
        return {"fbnet": "relu", "mobilenet_v3": "hswish", "efficientnet": "swish"}[self.style]

    @property
    def key(self) -> str:
        """All that the function of the network depends on, and nothing else."""
        blocks = ",".join(
            f"{b.channels_in}-{b.hidden}{'x' if b.expands else ''}-{b.channels_out}"
            f"k{b.kernel}s{b.stride}q{b.squeeze}{b.activation}"
            for b in self.blocks
        )
        stem = f"{self.stem_width}s{self.stem_stride}"
        head = f"{self.head_conv}-{self.head_linear}"
        return f"{self.style}@{self.resolution}|{stem}|{blocks}|{head}"


def mobile_plan(architecture: Mapping[str, Any]) -> MobilePlan:
    """Return the sizes of a :class:`~optuna_nas.MobileSpace` member.

    Raises:
        KeyError: If a decision is missing.

    Example:

        >>> from optuna_nas import MobileSpace
        >>> plan = mobile_plan(MobileSpace.mobilenet_v3().reference())
        >>> len(plan.blocks), plan.blocks[7].hidden, plan.head_conv, plan.head_linear
        (15, 200, 960, 1280)
    """
    style = str(architecture["style"])
    scale = float(architecture.get("width_coefficient", 1))
    stem_width = channels = round_width(architecture["stem_width"], scale)
    blocks: list[MobileBlock] = []
    for stage in range(1, n_stages(architecture) + 1):
        width = round_width(architecture[f"stage_{stage}_width"], scale)
        for number, parts in enumerate(_scaled_blocks(architecture, stage), start=1):
            if parts["type"] == "skip":
                continue
            stride = architecture[f"stage_{stage}_stride"] if number == 1 else 1
            name = f"stage_{stage}_block_{number}"
            blocks.append(_block(name, style, channels, width, stride, parts))
            channels = width
    head = round_width(architecture["head_width"], scale)
    late = style == "mobilenet_v3"
    return MobilePlan(
        style=style,
        resolution=architecture.get("resolution"),
        stem_width=stem_width,
        stem_stride=architecture["stem_stride"],
        blocks=tuple(blocks),
        head_conv=6 * channels if late else head,
        head_linear=head if late else 0,
    )


def _scaled_blocks(architecture: Mapping[str, Any], stage: int) -> list[dict[str, Any]]:
    """Repeat the last block, or drop the last ones, as the depth coefficient says."""
    blocks = blocks_of(architecture, stage)
    n = scaled_depth(len(blocks), float(architecture.get("depth_coefficient", 1)))
    return [blocks[min(i, len(blocks) - 1)] for i in range(n)]


def _block(
    name: str, style: str, channels: int, width: int, stride: int, parts: Mapping[str, Any]
) -> MobileBlock:
    expansion, ratio = parts["expansion"], parts["se"]
    hidden = _hidden(channels, expansion)
    squeeze = 0
    if ratio:
        # EfficientNet squeezes relative to the block's input, MobileNetV3 to what it squeezes.
        input_based = style == "efficientnet"
        squeeze = max(1, int(channels * ratio)) if input_based else round_to_8(hidden * ratio)
    return MobileBlock(
        name=name,
        channels_in=channels,
        channels_out=width,
        stride=stride,
        kernel=parts["kernel"],
        hidden=hidden,
        expands=expansion != 1 or style == "fbnet",
        squeeze=squeeze,
        activation=parts["activation"],
    )


def _hidden(channels: int, expansion: float) -> int:
    product = round(channels * expansion, 6)
    return int(product) if product == int(product) and product else round_to_8(product)


def scaled_depth(depth: int, coefficient: float) -> int:
    """Scale a number of blocks as EfficientNet does: rounded up, at least 1."""
    return max(1, math.ceil(coefficient * depth - 1e-9))


def round_width(width: int, coefficient: float) -> int:
    """Scale a number of channels as EfficientNet does; a coefficient of 1 changes nothing."""
    return width if coefficient == 1 else round_to_8(width * coefficient)


def round_to_8(value: float) -> int:
    """Return the nearest multiple of 8, at least 8 and at least nine tenths of ``value``."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded
