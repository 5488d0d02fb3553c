"""The proxy from how far a small change of Gaussian inputs moves the features."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils._pytree import tree_map

from lightning_modules.proxies._checks import checked_inputs
from lightning_modules.proxies._checks import checked_score
from lightning_modules.proxies._checks import floating
from lightning_modules.proxies._network import batch_statistics
from lightning_modules.proxies._network import call
from lightning_modules.proxies._network import CalledWeights
from lightning_modules.proxies._network import hooked
from lightning_modules.proxies._network import NORMALISATIONS
from lightning_modules.tasks import Loss


_STEP = 0.01
_SEED = 0
_BATCH_NORM = (nn.modules.batchnorm._BatchNorm,)
_CONVOLUTION = (nn.modules.conv._ConvNd,)


def zen(network: nn.Module, inputs: Any, targets: Any = None, loss: Loss | None = None) -> float:
    """Return the Zen-score, the expressivity of the network with Gaussian weights.

    ``log(mean over samples of ||f(x) - f(x + 0.01 e)||) + sum over normalisations of
    log(sqrt(mean over channels of s^2))`` with ``x``, ``e`` and all weights standard normal,
    biases 0 and scales 1, the features ``f``, and the variance ``s^2`` of a channel over batch and
    positions, in front of its normalisation, for ``x``. The sum makes up for what normalising by
    the batch takes away.

    Lin et al., "Zen-NAS: A zero-shot NAS for high-performance image recognition", ICCV 2021,
    algorithm 1. Features are the input of the global average pooling behind the last convolution;
    without such, that of the last linear layer; without any, the output. Different from the paper,
    residual links stay: in a graph of operations they are part of the architecture. A
    normalisation of a constant, through which nothing passes, does not count.

    Args:
        network: Takes inputs of the shape of ``inputs``; left as found.
        inputs: Floating point, (batch, ...), or tuples or dicts of such; at least 2 samples. Only
            shape, type and device matter.
        targets: Not used.
        loss: Not used.

    Returns:
        A value of any sign, the same for the same network whatever its weights; minus infinity if
        the features do not depend on the input.

    Raises:
        ValueError: If ``inputs`` have another form.
        RuntimeError: If the features are not finite.
    """
    inputs = checked_inputs(inputs)
    floating("zen", inputs)
    generator = torch.Generator().manual_seed(_SEED)
    with batch_statistics(network), torch.no_grad():
        clean = tree_map(lambda x: _noise(x, generator), inputs)
        changed = tree_map(lambda x: x + _STEP * _noise(x, generator), clean)
        called = _gaussian(network, generator)
        variances: list[float] = []

        def measure(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            x = arguments[0]
            dims = [0, *range(2, x.ndim)]
            variances.append(float(x.var(dims, correction=0).mean()))

        with hooked(network, _BATCH_NORM, measure):
            features = _features(network, called, clean)
        moved = (_features(network, called, changed) - features).flatten(1).double()
    distance = float(moved.norm(dim=1).mean())
    if distance == 0.0:
        return float("-inf")
    compensation = sum(math.log(variance) / 2 for variance in variances if variance != 0.0)
    return checked_score("zen", math.log(distance) + compensation)


def _gaussian(network: nn.Module, generator: torch.Generator) -> CalledWeights:
    called = CalledWeights(network)
    scales = {
        f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, NORMALISATIONS)
    }
    for name, tensor in called.parameters.items():
        if name in scales:
            tensor.fill_(1.0)
        elif tensor.ndim >= 2:
            tensor.copy_(_noise(tensor, generator))
        else:
            tensor.zero_()
    return called


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    # Drawn on the CPU, so that it is the same on all devices.
    return torch.empty_like(like).copy_(torch.randn(like.shape, generator=generator))


def _features(network: nn.Module, called: CalledWeights, inputs: Any) -> Tensor:
    """Return the input of the head; see :func:`zen`."""
    pooled: list[Tensor] = []
    flat: list[Tensor] = []

    def follow(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, _CONVOLUTION):
            pooled.clear()  # What was pooled before is not the head, but squeeze-and-excitation.
        elif isinstance(module, nn.Linear):
            flat[:] = [arguments[0]]
        elif output.shape[-2:] == (1, 1):
            pooled[:] = [arguments[0]]

    with hooked(network, (*_CONVOLUTION, nn.Linear, nn.AdaptiveAvgPool2d), follow):
        output = call(network, called, inputs)
    return (pooled or flat or tree_leaves(output))[0]


PROXY = zen
