"""What a study has learned of constraints that only its objective knows."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
import weakref

import numpy as np

from optuna_nas._additive_model import AdditiveModel
from optuna_nas.samplers.core._domain import TrialDomain
from optuna_nas.samplers.core._history import History
from optuna_nas.samplers.core._history import Individual


_WINDOW = 100
"""Number of latest trials that the models are fitted to."""
_LEAST = 10
"""Number of trials without which there is no model."""


class Foresight:
    """Predicts by how much a proposal breaks the constraints for which trials were pruned.

    Each constraint is a linear model of the choices. It costs nothing as long as the objective has
    pruned no trial for a constraint.
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._features: weakref.WeakKeyDictionary[Individual, np.ndarray] = (
            weakref.WeakKeyDictionary()
        )

    def violation(
        self, history: History, domain: TrialDomain
    ) -> Callable[[Mapping[str, Any]], float] | None:
        """Return what predicts the violation of parameters, up to a factor.

        Returns:
            A function that returns 0 for the feasible; :obj:`None` while nothing can be predicted.
        """
        recent = [member for member in history.individuals[-_WINDOW:] if member.constraints]
        if not history.n_pruned_infeasible or len(recent) < _LEAST:
            return None
        names = domain.names_in(member.params for member in recent)
        known = self._features_of(recent, domain, names)
        models = [
            AdditiveModel().fit(known, _finite([m.constraints.get(name, 0.0) for m in recent]))
            for name in sorted({name for member in recent for name in member.constraints})
        ]

        def predict(params: Mapping[str, Any]) -> float:
            features = domain.features(params, names)
            return sum(max(float(model.predict(features)), 0.0) for model in models)

        return predict

    def _features_of(
        self, members: list[Individual], domain: TrialDomain, names: tuple[str, ...]
    ) -> np.ndarray:
        if names != self._names:
            self._names = names
            self._features.clear()
        for member in members:
            if member not in self._features:
                self._features[member] = domain.features(member.params, names)
        return np.stack([self._features[member] for member in members])


def _finite(values: list[float]) -> np.ndarray:
    """Return values with infinite ones replaced by the extremes of the others."""
    column = np.array(values, dtype=float)
    known = column[np.isfinite(column)]
    low, high = (known.min(), known.max()) if len(known) else (-1.0, 1.0)
    finite: np.ndarray = np.clip(column, low, high)
    return finite
