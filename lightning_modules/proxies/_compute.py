"""The values of several proxies for one network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from typing import Protocol

from torch import nn

from lightning_modules.registries import PROXIES
from lightning_modules.tasks import Loss


class Proxy(Protocol):
    """A guess of how good the network is when trained, from the network untrained."""

    def __call__(self, network: nn.Module, inputs: Any, targets: Any, loss: Loss) -> float:
        """Score a network, which is left as found.

        Args:
            network: Maps ``inputs`` to an output.
            inputs: A tensor (batch, ...), or tuples or dicts of such; at least 2 samples.
            targets: What the loss takes.
            loss: From output and targets to the mean loss of the batch, a scalar.

        Returns:
            The score, higher is better. It is a finite number, or minus infinity.
        """
        ...


def compute_proxies(
    network: nn.Module,
    inputs: Any,
    targets: Any,
    loss: Loss,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Score a network by several proxies.

    Args:
        network: Maps ``inputs`` to an output; left as found.
        inputs: A tensor (batch, ...), or tuples or dicts of such; at least 2 samples.
        targets: What the loss takes.
        loss: From output and targets to the mean loss of the batch, e.g. that of a
            :class:`~lightning_modules.tasks.Task`.
        names: Of :data:`~lightning_modules.registries.PROXIES`, or ``MODULE:NAME`` or
            ``FILE.py:NAME``; by default all known ones.

    Returns:
        The scores by name in the order of ``names``, higher is better.

    Raises:
        ValueError: If a name is unknown or an argument has another form.
        RuntimeError: If a score is NaN or infinity.

    Example:

        >>> import torch
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
        >>> inputs, targets = torch.ones(2, 1, 2, 2), torch.zeros(2, 3)
        >>> compute_proxies(network, inputs, targets, nn.functional.mse_loss, ["params", "macs"])
        {'params': 15.0, 'macs': 12.0}
    """
    chosen = find_proxies("names", PROXIES.names if names is None else names)
    return {name: proxy(network, inputs, targets, loss) for name, proxy in chosen.items()}


def find_proxies(argument: str, names: Sequence[str]) -> dict[str, Proxy]:
    """Return the proxies with these names.

    Args:
        argument: What the user calls the argument.
        names: At least one.

    Raises:
        ValueError: If one is unknown, or there is none.
    """
    if isinstance(names, str) or not names:
        raise ValueError(
            f"Expected argument `{argument}` to be names of {', '.join(PROXIES)} "
            f"but got {names!r}."
        )
    return {name: PROXIES.get(name, argument=argument) for name in names}
