"""The backbone of a chain of layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch import Tensor

from lightning_modules.backbone import Backbone
from lightning_modules.backbone import check_input_shape
from lightning_modules.backbone import FeatureMap
from optuna_nas import Architecture
from optuna_nas.spaces import chain_layers


class ChainBackbone(Backbone):
    """Convolutions and poolings in a row, then fully connected layers.

    A convolution keeps height and width and is followed by batch normalisation and ReLU. A pooling
    divides them by its size, rounded up, so that any depth fits any image. The map is flattened if
    fully connected layers follow, each with ReLU; without any, it is averaged over height and
    width. The feature maps are the last of each size.

    Args:
        layers: As :func:`~optuna_nas.spaces.chain_layers` returns them.
        input_shape: (channels, height, width) of an image.

    Raises:
        ValueError: If a number is less than 1.
    """

    def __init__(
        self, layers: Sequence[Mapping[str, Any]], *, input_shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        check_input_shape(input_shape)
        channels, height, width = input_shape
        stride = 1
        features: OrderedDict[str, nn.Module] = OrderedDict()
        lasts: dict[int, tuple[str, int]] = {}
        for i, layer in enumerate((layer for layer in layers if layer["type"] != "dense"), 1):
            if layer["type"] == "conv":
                features[f"layer_{i}"] = _conv(channels, layer["filters"], layer["kernel_size"])
                channels = layer["filters"]
            else:
                size = layer["pool_size"]
                features[f"layer_{i}"] = _pool(layer["pooling"], size)
                height, width, stride = -(-height // size), -(-width // size), stride * size
            lasts[stride] = (f"layer_{i}", channels)
        self.maps = tuple(FeatureMap(channels, stride) for stride, (_, channels) in lasts.items())
        self._lasts = [name for name, _ in lasts.values()]
        units = [layer["units"] for layer in layers if layer["type"] == "dense"]
        self.features = nn.Sequential(features)
        pool: nn.Module = nn.Identity() if units else nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Sequential(pool, nn.Flatten())
        n_flat = channels * height * width if units else channels
        self.dense = _dense([n_flat, *units])
        self.n_features = units[-1] if units else channels

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.dense(self.flatten(self.features(x)))
        return features

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        maps = []
        for name, layer in self.features.named_children():
            x = layer(x)
            if name in self._lasts:
                maps.append(x)
        return maps


def build_chain_backbone(
    architecture: Architecture, *, input_shape: tuple[int, int, int]
) -> ChainBackbone:
    """Build the :class:`ChainBackbone` of a :class:`~optuna_nas.ChainSpace` member.

    Args:
        architecture: The decisions of a chain; see :func:`~optuna_nas.spaces.chain_layers`.
        input_shape: (channels, height, width) of an image; each at least 1.

    Returns:
        The backbone with the children ``features``, ``flatten`` and ``dense``.

    Raises:
        ValueError: If ``architecture`` is not a chain or a number is less than 1.

    Example:

        >>> from optuna_nas import ChainSpace
        >>> chain = ChainSpace().from_string("C8k3-Smax2-O32")
        >>> build_chain_backbone(chain, input_shape=(1, 28, 28)).dense.dense_1
        Linear(in_features=1568, out_features=32, bias=True)
    """
    try:
        layers = chain_layers(architecture)
    except KeyError as error:
        raise ValueError(
            "Expected argument `architecture` to be a chain with decisions like `layer_1_type` "
            f"but got {architecture!r}."
        ) from error
    return ChainBackbone(layers, input_shape=input_shape)


def _conv(channels_in: int, channels_out: int, kernel_size: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(
                channels_in, channels_out, kernel_size, padding=kernel_size // 2, bias=False
            ),
            norm=nn.BatchNorm2d(channels_out),
            relu=nn.ReLU(inplace=True),
        )
    )


def _pool(pooling: str, size: int) -> nn.Module:
    if pooling == "max":
        return nn.MaxPool2d(size, ceil_mode=True)
    return nn.AvgPool2d(size, ceil_mode=True)


def _dense(units: list[int]) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (n_in, n_out) in enumerate(zip(units, units[1:], strict=False), start=1):
        layers[f"dense_{i}"] = nn.Linear(n_in, n_out)
        layers[f"relu_{i}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)
