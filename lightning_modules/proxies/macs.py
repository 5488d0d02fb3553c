"""The number of multiply-accumulates as a proxy: larger networks tend to be better."""

from __future__ import annotations

from typing import Any

from torch import nn

from lightning_modules.costs.measure import count_macs
from lightning_modules.inputs import Inputs
from lightning_modules.proxies._checks import checked_inputs
from lightning_modules.tasks import Loss


def macs(network: nn.Module, inputs: Any, targets: Any = None, loss: Loss | None = None) -> float:
    """Return the number of multiply-accumulates for one sample.

    Args:
        network: Takes ``inputs``; left as found.
        inputs: A tensor (batch, ...), or tuples or dicts of such; at least 2 samples. Only shape
            and type matter.
        targets: Not used.
        loss: Not used.

    Raises:
        ValueError: If ``inputs`` have another form.
    """
    sample = Inputs((checked_inputs(inputs),)).map(lambda tensor: tensor[:1])
    return float(count_macs(network, sample))


PROXY = macs
