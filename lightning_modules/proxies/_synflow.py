"""The proxy from the flow of ones through absolute weights, which needs no data."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor

from lightning_modules.proxies._network import batch_statistics
from lightning_modules.proxies._network import bypassed
from lightning_modules.proxies._network import call
from lightning_modules.proxies._network import checked_images
from lightning_modules.proxies._network import checked_score
from lightning_modules.proxies._network import gradients
from lightning_modules.proxies._network import NORMALISATIONS
from lightning_modules.proxies._network import State


def synflow(network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    """Return the synaptic flow, the sum over weights of ``|w dR/dw|``.

    ``R`` is the sum of the logits of a single image of ones, with each parameter replaced by its
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
        network: Takes one image of the shape of ``images``; left as found.
        images: Floating point, (batch, channels, height, width), at least 2. Only shape and device
            matter.
        labels: Not used.

    Returns:
        A value of at least 0; 1e40 is not unusual.

    Raises:
        ValueError: If ``images`` has another form.
        RuntimeError: If the value is not finite.
    """
    images = checked_images(images)
    value = 0.0
    if images.dtype != torch.float64:
        value = _flow(network, images, torch.float32)
    if not 0.0 < value < float("inf"):
        value = _flow(network, images, torch.float64)
    return checked_score("synflow", value)


def _flow(network: nn.Module, images: Tensor, dtype: torch.dtype) -> float:
    with batch_statistics(network), bypassed(network, (*NORMALISATIONS, nn.ReLU6)):
        state = State(network, dtype)
        with torch.no_grad():
            for parameter in state.parameters.values():
                parameter.abs_()
        ones = torch.ones_like(images[:1], dtype=dtype)
        weights = state.weights
        grads = gradients(call(network, state, ones).sum(), weights)
        return sum(
            float((w.detach() * g).abs().sum()) for w, g in zip(weights, grads, strict=True)
        )
