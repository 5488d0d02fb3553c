"""The proxy from the flow of ones through absolute weights, which needs no data."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils._pytree import tree_map

from lightning_modules.proxies._checks import checked_inputs
from lightning_modules.proxies._checks import checked_score
from lightning_modules.proxies._network import batch_statistics
from lightning_modules.proxies._network import bypassed
from lightning_modules.proxies._network import call
from lightning_modules.proxies._network import CalledWeights
from lightning_modules.proxies._network import gradients
from lightning_modules.proxies._network import NORMALISATIONS
from lightning_modules.proxies._network import summed
from lightning_modules.tasks import Loss


def synflow(
    network: nn.Module, inputs: Any, targets: Any = None, loss: Loss | None = None
) -> float:
    """Return the synaptic flow, the sum over weights of ``|w dR/dw|``.

    ``R`` is the sum of the output for a single sample of ones, with each parameter replaced by its
    absolute value. Weights are the kernels and matrices. Normalisation is left out, that is, the
    identity, as in the code of Abdelfattah et al.: by the batch it would cancel the flow that is
    measured, and in evaluation mode a fresh network's is the identity anyway. So is ReLU6, whose
    upper bound would stop the flow; on the positive values here it differs from ReLU in nothing
    else. As the flow grows by orders of magnitude with each layer, what float32 cannot hold is
    computed again in float64.

    Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic
    flow", NeurIPS 2020, equations 1 and 3; as a score of the whole network: Abdelfattah et al.,
    "Zero-cost proxies for lightweight NAS", ICLR 2021, section 3.2.

    Args:
        network: Takes one sample of the shape of ``inputs``; left as found.
        inputs: A tensor (batch, ...), or tuples or dicts of such; at least 2 samples. Only shape,
            type and device matter.
        targets: Not used.
        loss: Not used.

    Returns:
        A value of at least 0; 1e40 is not unusual.

    Raises:
        ValueError: If ``inputs`` have another form.
        RuntimeError: If the value is not finite.
    """
    inputs = checked_inputs(inputs)
    value = 0.0
    if all(leaf.dtype != torch.float64 for leaf in tree_leaves(inputs)):
        value = _flow(network, inputs, torch.float32)
    if not 0.0 < value < float("inf"):
        value = _flow(network, inputs, torch.float64)
    return checked_score("synflow", value)


def _flow(network: nn.Module, inputs: Any, dtype: torch.dtype) -> float:
    def ones(leaf: Tensor) -> Tensor:
        return torch.ones_like(leaf[:1], dtype=dtype if leaf.is_floating_point() else None)

    with batch_statistics(network), bypassed(network, (*NORMALISATIONS, nn.ReLU6)):
        called = CalledWeights(network, dtype)
        with torch.no_grad():
            for parameter in called.parameters.values():
                parameter.abs_()
        weights = called.weights
        grads = gradients(summed(call(network, called, tree_map(ones, inputs))), weights)
        return sum(
            float((w.detach() * g).abs().sum()) for w, g in zip(weights, grads, strict=True)
        )


PROXY = synflow
