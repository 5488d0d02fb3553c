"""The backbone of inverted bottlenecks in stages, and its builder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
import math

from torch import nn
from torch import Tensor

from lightning_modules.backbone import Backbone
from lightning_modules.backbone import check_input_shape
from lightning_modules.backbone import FeatureMap
from optuna_nas import Architecture
from optuna_nas.spaces import mobile_plan
from optuna_nas.spaces import MobileBlock
from optuna_nas.spaces import MobilePlan


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "swish": nn.SiLU,
    "hswish": nn.Hardswish,
}


class Resize(nn.Module):
    """Bilinear resizing of images to a square, with antialiasing.

    Args:
        resolution: Height and width of the output.
    """

    def __init__(self, resolution: int) -> None:
        super().__init__()
        self.resolution = resolution

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to (batch, channels, resolution, resolution)."""
        size = (self.resolution, self.resolution)
        if x.shape[-2:] == size:
            return x
        return nn.functional.interpolate(x, size, mode="bilinear", antialias=True)


class SqueezeExcitation(nn.Module):
    """Channels weighted by what all of the map says (Hu et al., CVPR 2018, section 3).

    Args:
        channels: Channels of input and output.
        squeeze: Channels between the two 1x1 convolutions.
        activation: Makes the activation between them.
        gate: Makes the activation behind them, with values in [0, 1].
    """

    def __init__(
        self,
        channels: int,
        squeeze: int,
        *,
        activation: Callable[[], nn.Module] = nn.ReLU,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.activation = activation()
        self.expand = nn.Conv2d(squeeze, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to the same shape."""
        weights: Tensor = self.expand(self.activation(self.reduce(self.pool(x))))
        weighted: Tensor = x * self.gate(weights)
        return weighted


class InvertedBottleneck(nn.Module):
    """A 1x1, a depthwise and a 1x1 convolution with normalisation, the last without activation.

    Sandler et al., CVPR 2018, section 3, with squeeze-and-excitation behind the depthwise
    convolution as in Howard et al., ICCV 2019, section 3. The input is added where the shape is
    the same.

    Args:
        block: The sizes.
        style: Of :data:`~optuna_nas.spaces.MOBILE_STYLES`; it chooses the form of the
            squeeze-and-excitation.
    """

    def __init__(self, block: MobileBlock, style: str) -> None:
        super().__init__()
        hidden = block.hidden
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if block.expands:
            layers["expand"] = _conv(block.channels_in, hidden, activation=block.activation)
        layers["depthwise"] = _conv(
            hidden,
            hidden,
            block.kernel,
            block.stride,
            groups=hidden,
            activation=block.activation,
        )
        if block.squeeze:
            layers["se"] = _squeeze_excitation(block, style)
        layers["project"] = _conv(hidden, block.channels_out)
        self.layers = nn.Sequential(layers)
        self.residual = block.residual

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels_out, ceil(h/s), ceil(w/s))."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class MobileBackbone(Backbone):
    """Stem, blocks and last layers; see :class:`~optuna_nas.MobileSpace` for the styles.

    The children are ``resize`` (if there is a resolution), ``stem``, ``blocks`` with names such as
    ``stage_1_block_2``, and ``last`` with a convolution, pooling and, in some styles, a linear
    layer. The feature maps are the last of each size in front of ``last``.

    Args:
        plan: The sizes.
        input_shape: (channels, height, width) of an image.
        dropout: Probability of dropping a feature, in [0, 1).
        make_block: Makes a block from its sizes and the style; a supernet hands in its own.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        plan: MobilePlan,
        *,
        input_shape: tuple[int, int, int],
        dropout: float = 0.0,
        make_block: Callable[[MobileBlock, str], nn.Module] = InvertedBottleneck,
    ) -> None:
        super().__init__()
        check_input_shape(input_shape)
        if not 0 <= dropout < 1:
            raise ValueError(f"Expected argument `dropout` to be in [0, 1) but got {dropout}.")
        self.resize = Resize(plan.resolution) if plan.resolution else nn.Identity()
        self.stem = _conv(
            input_shape[0], plan.stem_width, 3, plan.stem_stride, activation=plan.activation
        )
        self.blocks = nn.Sequential(
            OrderedDict((block.name, make_block(block, plan.style)) for block in plan.blocks)
        )
        self.maps = _maps(plan, input_shape)
        self._reductions = frozenset(block.name for block in plan.blocks if block.stride > 1)
        last: OrderedDict[str, nn.Module] = OrderedDict(
            conv=_conv(self.maps[-1].channels, plan.head_conv, activation=plan.activation),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
        if plan.head_linear:
            last["linear"] = nn.Linear(plan.head_conv, plan.head_linear)
            last["activation"] = _ACTIVATIONS[plan.activation]()
        if dropout:
            last["dropout"] = nn.Dropout(dropout)
        self.last = nn.Sequential(last)
        self.n_features = plan.head_linear or plan.head_conv

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.last(self.blocks(self.stem(self.resize(x))))
        return features

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        x, maps = self.stem(self.resize(x)), []
        for name, block in self.blocks.named_children():
            if name in self._reductions:
                maps.append(x)
            x = block(x)
        return [*maps, x]


def build_mobile_backbone(
    architecture: Architecture, *, input_shape: tuple[int, int, int], dropout: float = 0.0
) -> MobileBackbone:
    """Build the :class:`MobileBackbone` of a :class:`~optuna_nas.MobileSpace` member.

    Convolutions of stride 2 round sizes up, so any depth fits any image.

    Args:
        architecture: The decisions of a mobile architecture.
        input_shape: (channels, height, width) of an image; each at least 1.
        dropout: Probability of dropping a feature, in [0, 1).

    Returns:
        The backbone with PyTorch's default initialisation. Parameters have stable names such as
        ``blocks.stage_1_block_2.layers.depthwise.conv.weight``.

    Raises:
        ValueError: If ``architecture`` is no mobile architecture or a number is out of range.

    Example:

        >>> from optuna_nas import MobileSpace
        >>> architecture = MobileSpace().complete({"stage_2_depth": 1})
        >>> build_mobile_backbone(architecture, input_shape=(1, 28, 28)).n_features
        128
    """
    try:
        plan = mobile_plan(architecture)
    except KeyError as error:
        raise ValueError(
            "Expected argument `architecture` to have decisions like `stage_1_depth` "
            f"but got {architecture!r}."
        ) from error
    return MobileBackbone(plan, input_shape=input_shape, dropout=dropout)


def _maps(plan: MobilePlan, input_shape: tuple[int, int, int]) -> tuple[FeatureMap, ...]:
    """Return the last map of each size; a resolution counts as a stride, rounded."""
    widths = {plan.stem_stride: plan.stem_width}
    stride = plan.stem_stride
    for block in plan.blocks:
        stride *= block.stride
        widths[stride] = block.channels_out
    scale = math.sqrt(math.prod(input_shape[1:])) / plan.resolution if plan.resolution else 1
    return tuple(FeatureMap(w, max(1, round(scale * s))) for s, w in widths.items())


def _conv(
    channels_in: int,
    channels_out: int,
    kernel_size: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    activation: str | None = None,
) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(
            channels_in,
            channels_out,
            kernel_size,
            stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=False,
        ),
        norm=nn.BatchNorm2d(channels_out),
    )
    if activation is not None:
        layers["activation"] = _ACTIVATIONS[activation]()
    return nn.Sequential(layers)


def _squeeze_excitation(block: MobileBlock, style: str) -> SqueezeExcitation:
    if style == "efficientnet":
        return SqueezeExcitation(block.hidden, block.squeeze, activation=nn.SiLU)
    return SqueezeExcitation(block.hidden, block.squeeze, gate=nn.Hardsigmoid)
