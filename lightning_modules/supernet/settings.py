"""The settings of a supernet stage, without importing anything that is slow to load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning_modules._checks import check_at_least
from lightning_modules.registries import RELAXATIONS


if TYPE_CHECKING:
    from lightning_modules.supernet.relaxations import Relaxation


DEFAULT_RELAXATION = "fairnas"
"""The relaxation of a stage for which none is named."""


@dataclass(frozen=True)
class StageSettings:
    """How a supernet is trained, and what its paths are scored by.

    Args:
        relaxation: How the supernet is trained: a name of
            :data:`~lightning_modules.registries.RELAXATIONS`.
        epochs: Epochs of the training, at least 1; by default those of the relaxation.
        paths: Paths that are scored with the weights of the supernet, at least 2, where the
            relaxation does not learn probabilities itself.
        proxy: Zero-cost proxy of the untrained networks, a name of
            :data:`~lightning_modules.registries.PROXIES`, which counts beside the loss of these
            paths; None counts the loss alone.
        proxy_weight: Part of the proxy in the mean rank, in (0, 1].

    Raises:
        ValueError: If a number is out of its range.
    """

    relaxation: str = DEFAULT_RELAXATION
    epochs: int | None = None
    paths: int = 250
    proxy: str | None = "synflow"
    proxy_weight: float = 0.75

    def __post_init__(self) -> None:
        check_at_least("epochs", 1 if self.epochs is None else self.epochs, 1)
        check_at_least("paths", self.paths, 2)
        check_proxy_weight(self.proxy_weight)

    @property
    def kind(self) -> type[Relaxation]:
        """The class of the relaxation, which is imported for it.

        Raises:
            ValueError: If there is no such relaxation.
        """
        return RELAXATIONS.get(self.relaxation)

    @property
    def n_epochs(self) -> int:
        """Epochs of the training."""
        return self.kind.epochs if self.epochs is None else self.epochs

    @property
    def scores_paths(self) -> bool:
        """Whether paths are scored, as the relaxation does not learn probabilities itself."""
        return not self.kind.learns


def check_proxy_weight(proxy_weight: float) -> None:
    """Raise a ValueError if the part of a proxy is not in (0, 1]."""
    if not 0 < proxy_weight <= 1:
        raise ValueError(
            f"Expected argument `proxy_weight` to be in (0, 1] but got {proxy_weight}."
        )
