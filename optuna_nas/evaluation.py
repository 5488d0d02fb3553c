"""What one architecture measured: objectives, other metrics and constraint values."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Protocol

from optuna_nas.spaces import Architecture


Report = Callable[[int, Mapping[str, float]], None]
"""``report(epoch, metrics)`` with the epoch from 0; it may raise ``optuna.TrialPruned``."""


@dataclass(frozen=True)
class Evaluation:
    """The measured values of one architecture.

    Args:
        metrics: Values by name, objectives and others alike, e.g. ``val_loss``,
            ``params``, ``macs``, ``latency_ms``, ``throughput`` in samples/s.
        constraints: Constraint values by name; a value above 0 is a violation.
    """

    metrics: Mapping[str, float]
    constraints: Mapping[str, float] = field(default_factory=dict)


class Evaluator(Protocol):
    """Anything that measures an architecture, e.g. by training the network built from it."""

    def __call__(
        self, architecture: Architecture, *, report: Report | None = None
    ) -> Evaluation | Mapping[str, float]:
        """Measure ``architecture``.

        Args:
            architecture: A member of the search space.
            report: Called after each epoch with the epoch's metrics by name.

        Returns:
            The measured values by name, plain or as an :class:`Evaluation`.
        """
        ...
