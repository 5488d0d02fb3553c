"""The proxy from the gradient flow that the weights keep up."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lightning_modules.proxies._checks import checked_inputs
from lightning_modules.proxies._checks import checked_score
from lightning_modules.proxies._checks import copied
from lightning_modules.proxies._network import batch_loss
from lightning_modules.proxies._network import batch_statistics
from lightning_modules.proxies._network import CalledWeights
from lightning_modules.proxies._network import gradients
from lightning_modules.tasks import Loss


def grasp(network: nn.Module, inputs: Any, targets: Any, loss: Loss) -> float:
    """Return the gradient flow that the weights keep up, ``-w^T H g``.

    ``L`` is the mean loss of the batch, under normalisation by that batch. Weights are kernels and
    matrices, neither biases nor the scales of normalisation, as in the code of Abdelfattah et al.

    Here ``g`` is the gradient and ``H`` the Hessian of ``L`` in the weights, and the product of
    the two is exact, by differentiating twice. Wang et al., "Picking winning tickets before
    training by preserving gradient flow", ICLR 2020, equation 8, at temperature 1 as in
    Abdelfattah et al., "Zero-cost proxies for lightweight NAS", ICLR 2021, section 3.2.

    Args:
        network: Maps ``inputs`` to an output, differentiable twice; left as found.
        inputs: A tensor (batch, ...), or tuples or dicts of such; at least 2 samples.
        targets: What the loss takes.
        loss: From output and targets to the mean loss of the batch.

    Returns:
        A value of any sign.

    Raises:
        ValueError: If an argument has another form.
        RuntimeError: If the value is not finite.
    """
    inputs, targets = checked_inputs(inputs), copied(targets)
    with batch_statistics(network):
        called = CalledWeights(network)
        weights = called.weights
        value = batch_loss(network, called, inputs, targets, loss)
        grads = gradients(value, weights, create_graph=True)
        flow = torch.zeros_like(value)
        for g in grads:
            flow = flow + (g.detach() * g).sum()
        products = gradients(flow, weights)
        total = sum(
            float((w.detach() * p).double().sum()) for w, p in zip(weights, products, strict=True)
        )
    return checked_score("grasp", -total)


PROXY = grasp
