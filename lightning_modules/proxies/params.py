"""The number of parameters as a proxy: larger networks tend to be better."""

from __future__ import annotations

from typing import Any

from torch import nn

from lightning_modules.costs.measure import count_params
from lightning_modules.proxies._checks import checked_inputs
from lightning_modules.tasks import Loss


def params(
    network: nn.Module, inputs: Any, targets: Any = None, loss: Loss | None = None
) -> float:
    """Return the number of parameters.

    Args:
        network: Takes ``inputs``; left as found.
        inputs: Not used, but checked as those of all proxies.
        targets: Not used.
        loss: Not used.

    Raises:
        ValueError: If ``inputs`` have another form.
    """
    checked_inputs(inputs)  # All proxies take the same arguments.
    return float(count_params(network))


PROXY = params
