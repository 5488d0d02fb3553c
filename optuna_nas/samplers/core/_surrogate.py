"""A linear model of the rank of a trial, cheap enough to be fitted before every proposal."""

from __future__ import annotations

import numpy as np


class AdditiveModel:
    """Ridge regression of ranks on the choices: each choice has an effect, and effects add up.

    Source: Hoerl & Kennard, Ridge regression, Technometrics 1970, equation 2.1. Ranks instead of
    values make it indifferent to outliers and to the scale of an objective.

    Args:
        penalty: Weight of the squared effects.
    """

    def __init__(self, *, penalty: float = 1.0) -> None:
        self._penalty = penalty

    def fit(self, features: np.ndarray, ranks: np.ndarray) -> AdditiveModel:
        """Fit to trials.

        Args:
            features: Shape ``(n, n_features)``.
            ranks: Shape ``(n,)``, 0 for the best; they are scaled to [0, 1].

        Returns:
            The model itself.
        """
        x, y = features, ranks / max(len(ranks) - 1, 1)
        self._mean = float(y.mean())
        if len(x) >= x.shape[1]:
            gram = x.T @ x + self._penalty * np.eye(x.shape[1])
            self._effects = np.linalg.solve(gram, x.T @ (y - self._mean))
        else:  # The same by the smaller system, however many parameters there are.
            gram = x @ x.T + self._penalty * np.eye(len(x))
            self._effects = x.T @ np.linalg.solve(gram, y - self._mean)
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return predicted scaled ranks of shape ``(n,)``, or ``()`` for features of one."""
        predicted: np.ndarray = features @ self._effects + self._mean
        return predicted
