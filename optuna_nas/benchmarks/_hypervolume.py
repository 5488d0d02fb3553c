"""Hypervolume in objectives that a known Pareto front has brought to one scale."""

from __future__ import annotations

import numpy as np

from optuna_nas import _compat


class HypervolumeIndicator:
    """Measures how much of a known Pareto front a set of points reaches.

    Each objective is scaled so that its best value on the known front is 0 and its worst value
    there is 1. The reference point is ``reference`` in every scaled objective. A point that does
    not lie below the reference point in every objective adds nothing.

    Args:
        losses: Minimised objectives of shape ``(n, n_objectives)`` whose non-dominated rows are
            the known front, e.g. those of a whole table.
        reference: Above 1, so that the ends of the front count.

    Raises:
        ValueError: If ``losses`` is not a matrix of finite values with at least one row, or
            ``reference`` is not above 1.

    Example:

        >>> import numpy as np
        >>> indicator = HypervolumeIndicator(np.array([[0.0, 30.0], [10.0, 10.0]]), reference=2.0)
        >>> float(indicator(np.array([[0.0, 10.0]])))  # (2 - 0) * (2 - 0)
        4.0
        >>> indicator.regret(np.array([[0.0, 30.0], [10.0, 10.0]]))
        0.0
    """

    def __init__(self, losses: np.ndarray, *, reference: float = 1.1) -> None:
        if losses.ndim != 2 or not losses.size or not np.isfinite(losses).all():
            raise ValueError(
                "Expected argument `losses` to be finite and of shape (n, n_objectives) "
                f"but got {losses!r}."
            )
        if not reference > 1:
            raise ValueError(f"Expected argument `reference` to be above 1 but got {reference}.")
        front = losses[_compat.on_pareto_front(losses)]
        self._ideal = front.min(axis=0)
        spread = front.max(axis=0) - self._ideal
        self._scale = np.where(spread > 0, spread, 1.0)
        self._reference = np.full(losses.shape[1], reference)
        self.best = self(front)
        """The hypervolume of the known front."""

    def __call__(self, losses: np.ndarray) -> float:
        """Return the hypervolume of points.

        Args:
            losses: Shape ``(n, n_objectives)``, in the units of the objectives; ``n`` may be 0.
        """
        scaled = (losses - self._ideal) / self._scale
        return _compat.hypervolume(scaled[(scaled <= self._reference).all(1)], self._reference)

    def regret(self, losses: np.ndarray) -> float:
        """Return how much hypervolume points lack of that of the known front."""
        return self.best - self(losses)
