"""The number of multiply-accumulates as a proxy: larger networks tend to be better."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch import Tensor

from lightning_modules.costs.measure import count_macs
from lightning_modules.proxies._checks import checked_inputs
from lightning_modules.tasks import Loss


def macs(network: nn.Module, inputs: Any, targets: Any = None, loss: Loss | None = None) -> float:
    """Return the number of multiply-accumulates for one sample.

    Args:
        network: Takes ``inputs``; left as found.
        inputs: A tensor (batch, ...); at least 2 samples. Only the shape matters.
        targets: Not used.
        loss: Not used.

    Raises:
        ValueError: If ``inputs`` have another form.
    """
    inputs = checked_inputs(inputs)
    if not isinstance(inputs, Tensor):
        raise ValueError(
            "Expected argument `inputs` to be one tensor for the proxy macs "
            f"but got a {type(inputs).__name__}."
        )
    return float(count_macs(network, tuple(inputs.shape[1:])))


PROXY = macs
