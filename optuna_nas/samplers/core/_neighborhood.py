"""Neighbours of trials with their keys and features, each looked up once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
import weakref

import numpy as np
from optuna.distributions import BaseDistribution

from optuna_nas.samplers.core._asked import Key
from optuna_nas.samplers.core._domain import TrialDomain
from optuna_nas.samplers.core._feasibility import Feasibility
from optuna_nas.samplers.core._history import History
from optuna_nas.samplers.core._history import Individual
from optuna_nas.samplers.core._history import Params


_MAX_CENTERS = 512


@dataclass(frozen=True, eq=False)
class Neighbor:
    """A feasible neighbour.

    Args:
        params: Its parameters.
        key: Its key; see :class:`History`.
    """

    params: Params
    key: Key


class Neighborhoods:
    """A cache over what depends on single trials of one study; it holds no state of the search."""

    def __init__(self, feasibility: Feasibility) -> None:
        self._feasibility = feasibility
        self._distributions: dict[str, BaseDistribution] = {}
        self._fixed: dict[str, Any] = {}
        self._names: tuple[str, ...] = ()
        self._neighbors: dict[int, list[Neighbor]] = {}
        self._features: weakref.WeakKeyDictionary[Individual | Neighbor, np.ndarray] = (
            weakref.WeakKeyDictionary()
        )

    def prepare(self, domain: TrialDomain) -> None:
        """Forget everything if known parameters have changed since the last proposal."""
        now = domain.distributions
        changed = any(now.get(name) != known for name, known in self._distributions.items())
        if changed or domain.fixed != self._fixed:
            self._neighbors.clear()
            self._features.clear()
        self._distributions, self._fixed = dict(now), domain.fixed

    def of(self, center: Individual, history: History, domain: TrialDomain) -> list[Neighbor]:
        """Return the feasible neighbours of a trial."""
        found = self._neighbors.get(center.number)
        if found is None:
            if len(self._neighbors) >= _MAX_CENTERS:
                self._neighbors.clear()
            found = self._neighbors[center.number] = self._compute(center, history, domain)
        return found

    def features(
        self, member: Individual | Neighbor, domain: TrialDomain, names: tuple[str, ...]
    ) -> np.ndarray:
        """Return the features of a trial or a neighbour; see :meth:`TrialDomain.features`."""
        if names != self._names:
            self._names = names
            self._features.clear()
        found = self._features.get(member)
        if found is None:
            found = self._features[member] = domain.features(member.params, names)
        return found

    def _compute(
        self, center: Individual, history: History, domain: TrialDomain
    ) -> list[Neighbor]:
        near = domain.neighbors(domain.conform(center.params))
        feasible = (params for params in near if self._feasibility.violation(params) == 0)
        keyed = ((params, history.key(params)) for params in feasible)
        return [Neighbor(params, key) for params, key in keyed if key is not None]
