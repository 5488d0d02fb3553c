"""Proxies from the gradient of the training loss.

All normalise by the batch and take the mean cross-entropy ``L`` of the batch. Sums over weights
``w`` run over the kernels and matrices, as in the code of Abdelfattah et al., ICLR 2021: neither
biases nor the scales of normalisation count.
"""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor

from lightning_modules.proxies._network import batch_statistics
from lightning_modules.proxies._network import checked_batch
from lightning_modules.proxies._network import checked_score
from lightning_modules.proxies._network import gradients
from lightning_modules.proxies._network import hooked
from lightning_modules.proxies._network import loss
from lightning_modules.proxies._network import State


_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def snip(network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    """Return the connection sensitivity, the sum over weights of ``|w dL/dw|``.

    Lee et al., "SNIP: Single-shot network pruning based on connection sensitivity", ICLR 2019,
    equation 4, whose normalisation to 1 is left out; as a score of the whole network: Abdelfattah
    et al., "Zero-cost proxies for lightweight NAS", ICLR 2021, section 3.2.

    Args:
        network: Maps ``images`` to logits (batch, classes); left as found.
        images: Floating point, (batch, channels, height, width), at least 2.
        labels: int64, (batch,), in [0, classes).

    Returns:
        A value of at least 0.

    Raises:
        ValueError: If an argument has another form.
        RuntimeError: If the value is not finite.
    """
    images, labels = checked_batch(images, labels)
    with batch_statistics(network):
        state = State(network)
        weights = state.weights
        grads = gradients(loss(network, state, images, labels), weights)
        total = sum(
            float((w.detach() * g).abs().sum()) for w, g in zip(weights, grads, strict=True)
        )
    return checked_score("snip", total)


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    """Return the Euclidean norm of the gradient, the root of the sum over weights of (dL/dw)^2.

    Abdelfattah et al., "Zero-cost proxies for lightweight NAS", ICLR 2021, section 3.1; one norm
    over all layers, whereas their code adds the norms of the layers.

    Args:
        network: Maps ``images`` to logits (batch, classes); left as found.
        images: Floating point, (batch, channels, height, width), at least 2.
        labels: int64, (batch,), in [0, classes).

    Returns:
        A value of at least 0.

    Raises:
        ValueError: If an argument has another form.
        RuntimeError: If the value is not finite.
    """
    images, labels = checked_batch(images, labels)
    with batch_statistics(network):
        state = State(network)
        grads = gradients(loss(network, state, images, labels), state.weights)
        total = sum(float(g.double().square().sum()) for g in grads)
    return checked_score("grad_norm", total**0.5)


def grasp(network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    """Return the gradient flow that the weights keep up, ``-w^T H g``.

    Here ``g`` is the gradient and ``H`` the Hessian of ``L`` in the weights, and the product of
    the two is exact, by differentiating twice. Wang et al., "Picking winning tickets before
    training by preserving gradient flow", ICLR 2020, equation 8, at temperature 1 as in
    Abdelfattah et al., "Zero-cost proxies for lightweight NAS", ICLR 2021, section 3.2.

    Args:
        network: Maps ``images`` to logits (batch, classes), differentiable twice; left as found.
        images: Floating point, (batch, channels, height, width), at least 2.
        labels: int64, (batch,), in [0, classes).

    Returns:
        A value of any sign.

    Raises:
        ValueError: If an argument has another form.
        RuntimeError: If the value is not finite.
    """
    images, labels = checked_batch(images, labels)
    with batch_statistics(network):
        state = State(network)
        weights = state.weights
        value = loss(network, state, images, labels)
        grads = gradients(value, weights, create_graph=True)
        flow = torch.zeros_like(value)
        for g in grads:
            flow = flow + (g.detach() * g).sum()
        products = gradients(flow, weights)
        total = sum(
            float((w.detach() * p).double().sum()) for w, p in zip(weights, products, strict=True)
        )
    return checked_score("grasp", -total)


def fisher(network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    """Return the Fisher information of the channels.

    The sum over the channels behind each convolution and linear layer of
    ``1 / (2 batch) * sum over images of (sum over positions of a dL/da)^2``, where ``a`` is the
    channel's map of one image before normalisation and activation.

    Theis et al., "Faster gaze prediction with dense networks and Fisher pruning", 2018, section
    2.1, by channels as in Turner et al., "BlockSwap", ICLR 2020, section 4.2; as a score of the
    whole network: Abdelfattah et al., ICLR 2021, section 3.2. As in their code, ``L`` is the mean
    and not the sum over the batch, so values of different batch sizes do not compare.

    Args:
        network: Maps ``images`` to logits (batch, classes); left as found.
        images: Floating point, (batch, channels, height, width), at least 2.
        labels: int64, (batch,), in [0, classes).

    Returns:
        A value of at least 0.

    Raises:
        ValueError: If an argument has another form.
        RuntimeError: If the value is not finite.
    """
    images, labels = checked_batch(images, labels)
    maps: list[Tensor] = []
    positions: list[tuple[int, ...]] = []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        linear = isinstance(module, nn.Linear)
        maps.append(output)
        positions.append(tuple(range(1, output.ndim - 1) if linear else range(2, output.ndim)))
        return output.clone()  # What follows may work in place.

    with batch_statistics(network), hooked(network, _LAYERS, keep):
        grads = gradients(loss(network, State(network), images, labels), maps)
        total = 0.0
        for a, g, dims in zip(maps, grads, positions, strict=True):
            product = (a.detach() * g).double()
            sums = product.sum(dims) if dims else product
            total += float(sums.square().sum()) / (2 * len(images))
    return checked_score("fisher", total)
