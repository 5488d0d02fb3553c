"""All proxies by their names, and their values for one network."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from types import MappingProxyType
from typing import Protocol

from torch import nn
from torch import Tensor

from lightning_modules.costs.measure import count_macs
from lightning_modules.costs.measure import count_params
from lightning_modules.proxies._activations import jacob_cov
from lightning_modules.proxies._activations import naswot
from lightning_modules.proxies._gradients import fisher
from lightning_modules.proxies._gradients import grad_norm
from lightning_modules.proxies._gradients import grasp
from lightning_modules.proxies._gradients import snip
from lightning_modules.proxies._network import checked_images
from lightning_modules.proxies._synflow import synflow
from lightning_modules.proxies._zen import zen


class Proxy(Protocol):
    """A guess of how good the network is when trained, from the network untrained."""

    def __call__(self, network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
        """Score a network, which is left as found.

        Args:
            network: Maps ``images`` to logits (batch, classes).
            images: Floating point, (batch, channels, height, width), at least 2.
            labels: int64, (batch,), in [0, classes); needed by those that take a loss.

        Returns:
            The score, higher is better. It is a finite number, or minus infinity.
        """
        ...


def _params(network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    checked_images(images)  # All proxies take the same arguments.
    return float(count_params(network))


def _macs(network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    return float(count_macs(network, tuple(checked_images(images).shape[1:])))


PROXIES: Mapping[str, Proxy] = MappingProxyType(
    {
        "synflow": synflow,
        "snip": snip,
        "grasp": grasp,
        "grad_norm": grad_norm,
        "fisher": fisher,
        "jacob_cov": jacob_cov,
        "naswot": naswot,
        "zen": zen,
        "params": _params,
        "macs": _macs,
    }
)
"""The proxies by name. ``params`` and ``macs`` are costs; as proxies, more of them is better."""


def compute_proxies(
    network: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    names: Sequence[str] = tuple(PROXIES),
) -> dict[str, float]:
    """Score a network by several proxies.

    Args:
        network: Maps ``images`` to logits (batch, classes); left as found.
        images: Floating point, (batch, channels, height, width), at least 2.
        labels: int64, (batch,), in [0, classes).
        names: Of :data:`PROXIES`.

    Returns:
        The scores by name in the order of ``names``, higher is better.

    Raises:
        ValueError: If a name is unknown or an argument has another form.
        RuntimeError: If a score is NaN or infinity.

    Example:

        >>> import torch
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
        >>> images, labels = torch.ones(2, 1, 2, 2), torch.tensor([0, 2])
        >>> compute_proxies(network, images, labels, ["params", "macs"])
        {'params': 15.0, 'macs': 12.0}
    """
    check_names("names", names)
    return {name: PROXIES[name](network, images, labels) for name in names}


def check_names(argument: str, names: Sequence[str]) -> None:
    """Raise a ValueError unless the names are at least one of :data:`PROXIES`."""
    if isinstance(names, str) or not names or not set(names) <= set(PROXIES):
        raise ValueError(
            f"Expected argument `{argument}` to be names of {list(PROXIES)} but got {names!r}."
        )
