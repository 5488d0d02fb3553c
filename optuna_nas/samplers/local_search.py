"""Local search over the neighbours of an architecture, with restarts."""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Sequence
from typing import Any
from typing import Literal
import weakref

import numpy as np

from optuna_nas._additive_model import AdditiveModel
from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.core import ArchitectureSampler
from optuna_nas.samplers.core import Climb
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import Individual
from optuna_nas.samplers.core import Neighbor
from optuna_nas.samplers.core import Neighborhoods
from optuna_nas.samplers.core import NonDominated
from optuna_nas.samplers.core import Params
from optuna_nas.samplers.core import Population
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.spaces import SearchSpace


_MODEL_WINDOW = 100
"""Number of latest trials that the model of the order is fitted to."""


class LocalSearchSampler(ArchitectureSampler):
    """Sampler that climbs from neighbour to neighbour and restarts at local optima.

    After ``n_initial`` random architectures, the neighbours of the best are evaluated (see
    :meth:`~optuna_nas.SearchSpace.neighbors`). With ``improvement="best"`` all of them are, before
    the search moves to the best; with ``"first"`` it moves as soon as one is better. Where none is
    better, it restarts from a random architecture.

    With several objectives it is a Pareto local search: the neighbours of the non-dominated
    architectures are evaluated, least crowded first, and those of new members as they come
    (Paquete, Chiarandini & Stützle, Pareto local optimum sets in the biobjective traveling
    salesman problem, 2004, section 3).

    Source: White et al., Exploring the loss landscape in neural architecture search, UAI 2021,
    algorithm 1 and section 5 (``"first"`` is their query-until-lower). The order in which
    neighbours are tried is ours: with ``order="model"`` a ridge regression of the ranks so far
    predicts which are good.

    Example:

        >>> import optuna
        >>> from optuna_nas import CellSpace
        >>> from optuna_nas.samplers import LocalSearchSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = CellSpace()
        >>> study = optuna.create_study(
        ...     direction="maximize", sampler=LocalSearchSampler(space=space, seed=0)
        ... )
        >>> study.optimize(
        ...     lambda trial: list(space.suggest(trial).values()).count("nor_conv_3x3"),
        ...     n_trials=60,
        ... )
        >>> study.best_value
        6.0

    Args:
        n_initial: Number of random architectures at the start, at least 1.
        improvement: Whether to move to the ``"first"`` better neighbour or to the ``"best"``.
        order: Whether neighbours are tried in ``"random"`` order or the most promising first, by
            ``"model"``.
        seed: Seed of the random numbers.
        space: Search space; see :class:`ArchitectureSampler`.
        prior: Probabilities from which starts are drawn.
        constraints: Constraints that proposals keep if they can be checked without training.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        *,
        n_initial: int = 10,
        improvement: Literal["first", "best"] = "first",
        order: Literal["model", "random"] = "model",
        seed: int | None = None,
        space: SearchSpace | None = None,
        prior: Prior | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        if n_initial < 1:
            raise ValueError(
                f"Expected argument `n_initial` to be at least 1 but got {n_initial}."
            )
        for name, value, known in [
            ("improvement", improvement, ("first", "best")),
            ("order", order, ("model", "random")),
        ]:
            if value not in known:
                raise ValueError(
                    f"Expected argument `{name}` to be one of {list(known)} but got {value!r}."
                )
        self._n_initial = n_initial
        self._improvement = improvement
        self._order = order
        # A better one counts wherever it is, so it may be further away than a neighbour.
        self._foresees = improvement == "first"
        super().__init__(seed=seed, space=space, prior=prior, constraints=constraints)

    def _reset(self) -> None:
        super()._reset()
        self._climbs: weakref.WeakKeyDictionary[History, Climb] = weakref.WeakKeyDictionary()
        self._fronts: weakref.WeakKeyDictionary[History, NonDominated] = (
            weakref.WeakKeyDictionary()
        )
        self._neighborhoods: weakref.WeakKeyDictionary[History, Neighborhoods] = (
            weakref.WeakKeyDictionary()
        )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        del state["_climbs"], state["_fronts"], state["_neighborhoods"]
        return state

    def propose(self, history: History, domain: TrialDomain, rng: np.random.Generator) -> Params:
        """Propose a neighbour that was not evaluated, or a random start."""
        found = self._open_neighbors(history, domain, rng)
        return found[0] if found else domain.sample(rng)

    def _pool(
        self, history: History, domain: TrialDomain, rng: np.random.Generator, n: int
    ) -> list[Params]:
        found = self._open_neighbors(history, domain, rng)[:n]
        return found or [domain.sample(rng) for _ in range(n)]

    def _open_neighbors(
        self, history: History, domain: TrialDomain, rng: np.random.Generator
    ) -> list[Params]:
        """Return those of the first centre that has some, the most promising first."""
        if len(history.individuals) < self._n_initial:
            return []
        self._cache_of(history).prepare(domain)
        centers = (
            self._front(history) if history.n_objectives > 1 else self._climb(history, domain)
        )
        # Workers that propose at this moment have the same history; each takes another neighbour.
        skip = history.n_undecided
        for center in centers:
            open_neighbors = [
                near
                for near in self._cache_of(history).of(center, history, domain)
                if not history.is_taken(near.params, near.key) and near.key not in history.unusable
            ]
            if skip < len(open_neighbors):
                ordered = self._in_order(open_neighbors, history, domain, rng)
                return [near.params for near in ordered[skip:]]
            skip -= len(open_neighbors)
        return []

    def _cache_of(self, history: History) -> Neighborhoods:
        if history not in self._neighborhoods:
            self._neighborhoods[history] = Neighborhoods(self._feasibility)
        return self._neighborhoods[history]

    def _in_order(
        self,
        candidates: Sequence[Neighbor],
        history: History,
        domain: TrialDomain,
        rng: np.random.Generator,
    ) -> list[Neighbor]:
        tie_break = rng.random(len(candidates))
        foreseen = self._acceptance(history).foresight.violation(history, domain)
        broken = np.array([foreseen(near.params) if foreseen else 0.0 for near in candidates])
        if self._order == "random":
            return [candidates[i] for i in np.lexsort((tie_break, broken))]
        predicted = self._predicted_ranks(candidates, history, domain)
        return [candidates[i] for i in np.lexsort((tie_break, predicted.round(9), broken))]

    def _predicted_ranks(
        self, candidates: Sequence[Neighbor], history: History, domain: TrialDomain
    ) -> np.ndarray:
        best_first = Population(history.individuals[-_MODEL_WINDOW:])
        rows = [*(member.params for member in best_first), *(near.params for near in candidates)]
        cache, names = self._cache_of(history), domain.names_in(rows)
        known = np.stack([cache.features(member, domain, names) for member in best_first])
        model = AdditiveModel().fit(known, np.arange(len(best_first), dtype=float))
        return model.predict(
            np.stack([cache.features(near, domain, names) for near in candidates])
        )

    # Several objectives.

    def _front(self, history: History) -> Sequence[Individual]:
        front = self._fronts.setdefault(history, NonDominated())
        front.add(history.arrivals)
        return Population(front.members)

    # One objective.

    def _climb(self, history: History, domain: TrialDomain) -> Sequence[Individual]:
        climb = self._climbs.get(history)
        if climb is None:
            climb = self._climbs[history] = Climb(self._n_initial, self._improvement)

        cache = self._cache_of(history)

        def neighbor_keys(center: Individual) -> frozenset[Hashable]:
            return frozenset(near.key for near in cache.of(center, history, domain))

        return climb.following(history, neighbor_keys)


SAMPLER = LocalSearchSampler
