"""Where a hill climb with restarts stands: a fold over trials in the order of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from typing import Literal

from optuna_nas.samplers._history import History
from optuna_nas.samplers._history import Individual
from optuna_nas.samplers._population import Population


NeighborKeys = Callable[[Individual], set[Hashable]]
"""Returns the keys of the feasible neighbours of an individual."""


class Climb:
    """A hill climb, rebuilt from the history alone.

    The best of the first ``n_initial`` individuals is the first center. An individual that is
    better than the center becomes the center: at once with ``improvement="first"``, or as the best
    of all neighbours when they all are evaluated with ``"best"``. When all neighbours are
    evaluated and none is better, the next individual that is no neighbour is a restart and becomes
    the center.

    Args:
        n_initial: Number of random individuals at the start.
        improvement: ``"first"`` or ``"best"``.
    """

    def __init__(self, n_initial: int, improvement: Literal["first", "best"]) -> None:
        self._n_initial = n_initial
        self._first = improvement == "first"
        self._n_followed = 0
        self._center: Individual | None = None
        self._best: Individual | None = None
        self._open: set[Hashable] = set()
        self._neighborhood: set[Hashable] = set()
        self._seen: set[Hashable] = set()
        self._seen_lately: set[Hashable] = set()

    def follow(self, history: History, neighbor_keys: NeighborKeys) -> None:
        """Follow the individuals that no late trial can come before any more."""
        for individual in history.individuals[self._n_followed : history.n_settled]:
            self._step(individual, history, neighbor_keys)
        self._seen |= self._seen_lately
        self._seen_lately = set()

    def following(self, history: History, neighbor_keys: NeighborKeys) -> list[Individual]:
        """Return the individuals whose neighbours are to be evaluated, after all individuals."""
        rest = history.individuals[self._n_followed :]
        climb = self
        if rest:
            climb = Climb(self._n_initial, "first" if self._first else "best")
            climb.__dict__.update(self.__dict__)
            climb._open = set(self._open)
            climb._seen_lately = set()
            for individual in rest:
                climb._step(individual, history, neighbor_keys)
        centers = [climb._center, climb._best]
        return [center for center in centers if center is not None]

    def _step(self, new: Individual, history: History, neighbor_keys: NeighborKeys) -> None:
        self._n_followed += 1
        self._seen_lately.add(new.key)
        if self._center is None or self._n_followed <= self._n_initial:
            self._center = new if self._center is None else _better(self._center, new)
            if self._n_followed == self._n_initial:
                self._move(self._center, history, neighbor_keys)
            return
        was_exhausted = self._is_exhausted(history, new.number)
        self._open.discard(new.key)
        is_better = _better(self._center, new) is new
        if is_better and self._first:
            self._move(new, history, neighbor_keys)
        elif is_better and new.key in self._neighborhood:
            self._best = new if self._best is None else _better(self._best, new)
        elif was_exhausted and self._best is None:
            self._move(new, history, neighbor_keys)
        if self._best is not None and self._is_exhausted(history, new.number):
            self._move(self._best, history, neighbor_keys)

    def _move(self, center: Individual, history: History, neighbor_keys: NeighborKeys) -> None:
        self._center, self._best = center, None
        self._neighborhood = neighbor_keys(center)
        self._open = {
            key
            for key in self._neighborhood
            if key not in self._seen and key not in self._seen_lately
        }

    def _is_exhausted(self, history: History, number: int) -> bool:
        """Tell whether all neighbours of the center had been tried before trial ``number``."""
        unusable = history.unusable
        return all(unusable.get(key, number) < number for key in self._open)


def _better(first: Individual, second: Individual) -> Individual:
    return Population([first, second])[0]
