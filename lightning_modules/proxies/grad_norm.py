"""The proxy from the norm of the loss's gradient."""

from __future__ import annotations

from typing import Any

from torch import nn

from lightning_modules.proxies._checks import checked_inputs
from lightning_modules.proxies._checks import checked_score
from lightning_modules.proxies._checks import copied
from lightning_modules.proxies._network import batch_loss
from lightning_modules.proxies._network import batch_statistics
from lightning_modules.proxies._network import CalledWeights
from lightning_modules.proxies._network import gradients
from lightning_modules.tasks import Loss


def grad_norm(network: nn.Module, inputs: Any, targets: Any, loss: Loss) -> float:
    """Return the Euclidean norm of the gradient, the root of the sum over weights of (dL/dw)^2.

    ``L`` is the mean loss of the batch, under normalisation by that batch. Weights are kernels and
    matrices, neither biases nor the scales of normalisation, as in the code of Abdelfattah et al.

    Abdelfattah et al., "Zero-cost proxies for lightweight NAS", ICLR 2021, section 3.1; one norm
    over all layers, whereas their code adds the norms of the layers.

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
    with batch_statistics(network):
        called = CalledWeights(network)
        grads = gradients(batch_loss(network, called, inputs, targets, loss), called.weights)
        total = sum(float(g.double().square().sum()) for g in grads)
    return checked_score("grad-norm", total**0.5)


PROXY = grad_norm
