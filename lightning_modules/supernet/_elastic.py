"""Layers of which a path takes a slice: the first channels, the middle of the kernel."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Any

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.supernet._gates import Gates
from optuna_nas.spaces import Choice


Options = Sequence[tuple[Any, Tensor | None]]
"""The active choices of a decision with their weights, :obj:`None` for 1."""

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "swish": F.silu,
    "hswish": F.hardswish,
}


class ActiveChoices:
    """Reads the gates of one forward pass by decision.

    Args:
        gates: The gates.
        choices: The choices of each decision.
    """

    def __init__(self, gates: Gates, choices: Mapping[str, tuple[Choice, ...]]) -> None:
        self._gates = gates
        self._choices = choices
        self.carried: list[Tensor] = []
        """Weights of single choices that are multiplied with the features at the end."""

    def __contains__(self, name: str) -> bool:
        return name in self._choices

    def options(self, name: str) -> Options:
        """Return the active choices of a decision.

        Raises:
            ValueError: If there is no active one.
        """
        gate = self._gates.get(name)
        if gate is None or not gate.active:
            raise ValueError(
                f"Expected the gate `{name}` to have an active choice but got {gate}."
            )
        weights = [None] * len(gate.active) if gate.weights is None else gate.weights.unbind()
        return [(self._choices[name][i], w) for i, w in zip(gate.active, weights, strict=True)]

    def one(self, name: str, default: Any = None) -> Any:
        """Return the choice of a decision that takes one at a time, and carry its weight.

        Args:
            name: The decision.
            default: Returned if there is no such decision.

        Raises:
            ValueError: If not exactly one choice is active.
        """
        if name not in self._choices:
            return default
        options = self.options(name)
        if len(options) > 1:
            raise ValueError(
                f"Expected the gate `{name}` to have one active choice but got {len(options)}."
            )
        self.carry(single_weight(options))
        return options[0][0]

    def carry(self, weight: Tensor | None) -> None:
        """Multiply the features with a weight at the end."""
        if weight is not None:
            self.carried.append(weight)


def single_weight(*decisions: Options) -> Tensor | None:
    """Return the product of the weights of the decisions that have one active choice."""
    weights = [d[0][1] for d in decisions if len(d) == 1 and d[0][1] is not None]
    return math.prod(weights[1:], start=weights[0]) if weights else None


def times(x: Tensor, weight: Tensor | None) -> Tensor:
    """Return a map times a scalar, in the type of the map."""
    return x if weight is None else x * weight.to(x.dtype)


def mixed(parts: Sequence[tuple[Tensor, Tensor | None]]) -> Tensor:
    """Return the weighted sum of tensors; the weight of a single one is left out."""
    if len(parts) == 1:
        return parts[0][0]
    return summed([times(part, weight) for part, weight in parts])


def summed(parts: Sequence[Tensor]) -> Tensor:
    """Return the sum of one or more tensors."""
    return sum(parts[1:], start=parts[0])


def weighted(x: Tensor, widths: Options) -> Tensor:
    """Weight the first channels of each width (FBNetV2, Wan et al., CVPR 2020, section 3).

    Args:
        x: Shape (batch, channels, ...).
        widths: Each at most ``channels``.
    """
    n = x.shape[1]
    ones = x.new_ones(n)
    masks = [times(F.pad(ones[:width], (0, n - width)), weight) for width, weight in widths]
    return x * summed(masks).view(1, n, *[1] * (x.ndim - 2))


def masked(x: Tensor, widths: Options) -> Tensor:
    """Do what :func:`weighted` does where there are several widths."""
    return x if len(widths) == 1 else weighted(x, widths)


def widest(widths: Options) -> int:
    """Return the largest width."""
    largest: int = max(width for width, _ in widths)
    return largest


def widen(x: Tensor, channels: int) -> Tensor:
    """Append channels of zeros to (batch, channels, ...)."""
    missing = channels - x.shape[1]
    return F.pad(x, (*[0] * (2 * x.ndim - 3), missing)) if missing else x


def activate(x: Tensor, activations: Options) -> Tensor:
    """Return the weighted sum of activations."""
    return mixed([(ACTIVATIONS[name](x), weight) for name, weight in activations])


def part_of(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the part of a shared weight that a smaller layer takes, as a view.

    It is the first of output and input channels (Slimmable networks, Yu et al., ICLR 2019) and the
    middle of the kernel (Cai et al., ICLR 2020, section 3.3).

    Args:
        tensor: The weight; of four axes, the last two are those of the kernel.
        shape: Shape of the part.
    """
    for axis, size in enumerate(shape):
        start = (tensor.shape[axis] - size) // 2 if axis >= 2 else 0
        tensor = tensor.narrow(axis, start, size)
    return tensor


def convolve(layer: nn.Module, x: Tensor, channels: int, *, stride: int = 1) -> Tensor:
    """Convolve with the first ``channels`` outputs of a layer, and its inputs that ``x`` has."""
    assert isinstance(layer, nn.Conv2d)
    kernel = layer.kernel_size[0]
    weight = part_of(layer.weight, (channels, x.shape[1], kernel, kernel))
    bias = None if layer.bias is None else layer.bias[:channels]
    return F.conv2d(x, weight, bias, stride, kernel // 2)


def convolve_depthwise(layer: nn.Module, x: Tensor, kernels: Options, *, stride: int) -> Tensor:
    """Convolve each channel with a part of its kernel.

    The weighted sum of kernels, padded to the largest, gives the weighted sum of the outputs, as
    convolution is linear.
    """
    assert isinstance(layer, nn.Conv2d)
    channels, largest = x.shape[1], widest(kernels)
    parts: list[tuple[Tensor, Tensor | None]] = []
    for kernel, weight in kernels:
        margin = (largest - kernel) // 2
        part = part_of(layer.weight, (channels, 1, kernel, kernel))
        parts.append((F.pad(part, (margin,) * 4) if margin else part, weight))
    return F.conv2d(x, mixed(parts), None, stride, largest // 2, groups=channels)


def normalise(layer: nn.Module, x: Tensor) -> Tensor:
    """Normalise as ``layer`` does, with the first channels of its weights and statistics."""
    assert isinstance(layer, nn.BatchNorm2d)
    n = x.shape[1]
    mean = var = None
    if not layer.training or layer.track_running_stats:
        assert layer.running_mean is not None
        assert layer.running_var is not None
        mean, var = layer.running_mean[:n], layer.running_var[:n]
    if layer.training and layer.track_running_stats and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
    weight, bias = (None if p is None else p[:n] for p in (layer.weight, layer.bias))
    momentum = 0.1 if layer.momentum is None else layer.momentum
    return F.batch_norm(x, mean, var, weight, bias, layer.training, momentum, layer.eps)


def transform(layer: nn.Module, x: Tensor, features: int) -> Tensor:
    """Apply the part of a linear layer from the features of ``x`` to the first ``features``."""
    assert isinstance(layer, nn.Linear)
    weight = part_of(layer.weight, (features, x.shape[1]))
    return F.linear(x, weight, layer.bias[:features])


def squeeze_excite(layer: nn.Module, x: Tensor, squeeze: int, *, style: str) -> Tensor:
    """Weight channels as :class:`SqueezeExcitation` does, with part of its weights.

    Args:
        layer: The module of the largest sizes.
        x: Shape (batch, channels, height, width).
        squeeze: Channels between the convolutions.
        style: Of :data:`~optuna_nas.spaces.MOBILE_STYLES`.
    """
    reduce, expand = (layer.get_submodule(name) for name in ("reduce", "expand"))
    inner = convolve(reduce, F.adaptive_avg_pool2d(x, 1), squeeze)
    if style == "efficientnet":
        return x * torch.sigmoid(convolve(expand, F.silu(inner), x.shape[1]))
    # The hard sigmoid in a form that PyTorch can differentiate twice, for second-order methods.
    return x * (F.relu6(convolve(expand, F.relu(inner), x.shape[1]) + 3) / 6)
