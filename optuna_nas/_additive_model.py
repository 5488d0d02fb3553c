"""Ridge regression on choices: each choice has an effect, and effects add up."""

from __future__ import annotations

import numpy as np


def ridge_effects(
    design: np.ndarray, targets: np.ndarray, *, penalty: float = 1.0, dual: bool = False
) -> np.ndarray:
    """Return the effects of a linear model without an intercept on targets minus their mean.

    Source: Hoerl & Kennard, Ridge regression, Technometrics 1970, equation 2.1.

    Args:
        design: Shape ``(n, n_features)``.
        targets: Shape ``(n,)``.
        penalty: Weight of the squared effects.
        dual: Whether to solve for ``n`` unknowns, one for each row, which is the same up to
            rounding and faster where there are fewer rows than features.

    Returns:
        Shape ``(n_features,)``.
    """
    gains = targets - targets.mean()
    if dual:
        gram = design @ design.T + penalty * np.eye(len(design))
        effects: np.ndarray = design.T @ np.linalg.solve(gram, gains)
        return effects
    gram = design.T @ design + penalty * np.eye(design.shape[1])
    effects = np.linalg.solve(gram, design.T @ gains)
    return effects


class AdditiveModel:
    """A linear model of the rank of a trial, cheap enough to be fitted before every proposal.

    Ranks instead of values make it indifferent to outliers and to the scale of an objective.
    """

    def fit(self, features: np.ndarray, ranks: np.ndarray) -> AdditiveModel:
        """Fit to trials.

        Args:
            features: Shape ``(n, n_features)``.
            ranks: Shape ``(n,)``, 0 for the best; they are scaled to [0, 1].

        Returns:
            The model itself.
        """
        scaled = ranks / max(len(ranks) - 1, 1)
        self._mean = float(scaled.mean())
        self._effects = ridge_effects(features, scaled, dual=len(features) < features.shape[1])
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return predicted scaled ranks of shape ``(n,)``, or ``()`` for features of one."""
        predicted: np.ndarray = features @ self._effects + self._mean
        return predicted
