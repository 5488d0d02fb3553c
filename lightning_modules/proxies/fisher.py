"""The proxy from the Fisher information of the channels."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch import Tensor

from lightning_modules.proxies._checks import batch_size
from lightning_modules.proxies._checks import checked_inputs
from lightning_modules.proxies._checks import checked_score
from lightning_modules.proxies._checks import copied
from lightning_modules.proxies._network import batch_loss
from lightning_modules.proxies._network import batch_statistics
from lightning_modules.proxies._network import CalledWeights
from lightning_modules.proxies._network import gradients
from lightning_modules.proxies._network import hooked
from lightning_modules.tasks import Loss


_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def fisher(network: nn.Module, inputs: Any, targets: Any, loss: Loss) -> float:
    """Return the Fisher information of the channels.

    The sum over the channels behind each convolution and linear layer of
    ``1 / (2 batch) * sum over samples of (sum over positions of a dL/da)^2``, where ``a`` is the
    channel's map of one sample before normalisation and activation, and ``L`` the mean loss of the
    batch, under normalisation by that batch.

    Theis et al., "Faster gaze prediction with dense networks and Fisher pruning", 2018, section
    2.1, by channels as in Turner et al., "BlockSwap", ICLR 2020, section 4.2; as a score of the
    whole network: Abdelfattah et al., ICLR 2021, section 3.2. As in their code, ``L`` is the mean
    and not the sum over the batch, so values of different batch sizes do not compare.

    Args:
        network: Maps ``inputs`` to an output; left as found.
        inputs: A tensor (batch, ...), or tuples or dicts of such; at least 2 samples.
        targets: What the loss takes.
        loss: From output and targets to the mean loss of the batch.

    Returns:
        A value of at least 0.

    Raises:
        ValueError: If an argument has another form.
        RuntimeError: If the value is not finite.
    """
    inputs, targets = checked_inputs(inputs), copied(targets)
    maps: list[Tensor] = []
    positions: list[tuple[int, ...]] = []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        linear = isinstance(module, nn.Linear)
        maps.append(output)
        positions.append(tuple(range(1, output.ndim - 1) if linear else range(2, output.ndim)))
        return output.clone()  # What follows may work in place.

    with batch_statistics(network), hooked(network, _LAYERS, keep):
        grads = gradients(batch_loss(network, CalledWeights(network), inputs, targets, loss), maps)
        total = 0.0
        for a, g, dims in zip(maps, grads, positions, strict=True):
            product = (a.detach() * g).double()
            sums = product.sum(dims) if dims else product
            total += float(sums.square().sum()) / (2 * batch_size(inputs))
    return checked_score("fisher", total)


PROXY = fisher
