"""The proxy from how sensitive the loss is to each connection."""

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


def snip(network: nn.Module, inputs: Any, targets: Any, loss: Loss) -> float:
    """Return the connection sensitivity, the sum over weights of ``|w dL/dw|``.

    ``L`` is the mean loss of the batch, under normalisation by that batch. Weights are kernels and
    matrices, neither biases nor the scales of normalisation, as in the code of Abdelfattah et al.

    Lee et al., "SNIP: Single-shot network pruning based on connection sensitivity", ICLR 2019,
    equation 4, whose normalisation to 1 is left out; as a score of the whole network: Abdelfattah
    et al., "Zero-cost proxies for lightweight NAS", ICLR 2021, section 3.2.

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
        weights = called.weights
        grads = gradients(batch_loss(network, called, inputs, targets, loss), weights)
        total = sum(
            float((w.detach() * g).abs().sum()) for w, g in zip(weights, grads, strict=True)
        )
    return checked_score("snip", total)


PROXY = snip
