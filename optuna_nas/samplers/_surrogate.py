"""A linear model of the rank of a trial, cheap enough to be fitted before every proposal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.samplers._domain import Domain
from optuna_nas.samplers._history import Params


class AdditiveModel:
    """Ridge regression of ranks on the choices: each choice has an effect, and effects add up.

    Source: Hoerl & Kennard, Ridge regression, Technometrics 1970, equation 2.1. Ranks instead of
    values make it indifferent to outliers and to the scale of an objective.

    Args:
        domain: How parameters become features.
        penalty: Weight of the squared effects.
    """

    def __init__(self, domain: Domain, *, penalty: float = 1.0) -> None:
        self._domain = domain
        self._penalty = penalty

    def fit(self, params: Sequence[Params], ranks: np.ndarray) -> AdditiveModel:
        """Fit to trials.

        Args:
            params: Parameters of ``n`` trials.
            ranks: Shape ``(n,)``, 0 for the best; they are scaled to [0, 1].

        Returns:
            The model itself.
        """
        x = self._features(params)
        y = ranks / max(len(ranks) - 1, 1)
        self._mean = float(y.mean())
        gram = x.T @ x + self._penalty * np.eye(x.shape[1])
        self._effects = np.linalg.solve(gram, x.T @ (y - self._mean))
        return self

    def predict(self, params: Sequence[Params]) -> np.ndarray:
        """Return predicted scaled ranks of shape ``(n,)``, lower for better."""
        predicted: np.ndarray = self._features(params) @ self._effects + self._mean
        return predicted

    def _features(self, params: Sequence[Params]) -> np.ndarray:
        return np.stack([self._domain.features(p) for p in params])
