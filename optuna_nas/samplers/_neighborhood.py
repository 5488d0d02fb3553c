"""Neighbours of trials with their keys and features, each looked up once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution

from optuna_nas.samplers._domain import Domain
from optuna_nas.samplers._feasibility import Feasibility
from optuna_nas.samplers._history import History
from optuna_nas.samplers._history import Individual
from optuna_nas.samplers._history import Params


_MAX_CENTERS = 512
_MAX_FEATURES = 4096


@dataclass(frozen=True, eq=False)
class Neighbor:
    """A feasible neighbour.

    Args:
        params: Its parameters.
        key: Its key; see :class:`History`.
        features: Its features; see :meth:`Domain.features`.
    """

    params: Params
    key: Hashable
    features: np.ndarray


class Neighborhoods:
    """A cache over what depends on single trials of one study; it holds no state of the search."""

    def __init__(self, feasibility: Feasibility) -> None:
        self._feasibility = feasibility
        self._distributions: dict[str, BaseDistribution] = {}
        self._neighbors: dict[int, list[Neighbor]] = {}
        self._features: dict[int, np.ndarray] = {}

    def prepare(self, domain: Domain) -> None:
        """Forget everything if the study has got further parameters since the last proposal."""
        if domain.distributions != self._distributions:
            self._distributions = dict(domain.distributions)
            self._neighbors.clear()
            self._features.clear()

    def of(self, center: Individual, history: History, domain: Domain) -> list[Neighbor]:
        """Return the feasible neighbours of a trial."""
        if domain.fixed:
            return self._compute(center, history, domain)
        found = self._neighbors.get(center.number)
        if found is None:
            if len(self._neighbors) >= _MAX_CENTERS:
                self._neighbors.clear()
            found = self._neighbors[center.number] = self._compute(center, history, domain)
        return found

    def features(self, individual: Individual, domain: Domain) -> np.ndarray:
        """Return the features of a trial."""
        found = self._features.get(individual.number)
        if found is None:
            if len(self._features) >= _MAX_FEATURES:
                self._features.clear()
            found = domain.features(domain.conform(individual.params))
            self._features[individual.number] = found
        return found

    def _compute(self, center: Individual, history: History, domain: Domain) -> list[Neighbor]:
        return [
            Neighbor(near, history.key(near), domain.features(near))
            for near in domain.neighbors(domain.conform(center.params))
            if self._feasibility.violation(near) == 0
        ]
