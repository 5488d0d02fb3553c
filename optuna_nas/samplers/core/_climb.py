"""Where a hill climb with restarts stands: a fold over trials in the order of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from dataclasses import dataclass
from dataclasses import replace
import math
from typing import Literal

from optuna_nas.samplers.core._history import History
from optuna_nas.samplers.core._history import Individual
from optuna_nas.samplers.core._population import Population


NeighborKeys = Callable[[Individual], frozenset[Hashable]]
"""Returns the keys of the feasible neighbours of an individual."""


@dataclass(frozen=True)
class _Position:
    """Where the climb stands after an individual.

    Args:
        number: Trial number of the individual.
        center: Whose neighbours are to be evaluated.
        best: The best of them, while not all are evaluated.
        neighborhood: Keys of the neighbours.
    """

    number: int
    center: Individual
    best: Individual | None = None
    neighborhood: frozenset[Hashable] = frozenset()


class Climb:
    """A hill climb, rebuilt from the history alone.

    The best of the first ``n_initial`` individuals is the first center. An individual that is
    better than the center becomes the center: at once with ``improvement="first"``, or as the best
    of all neighbours when they all are evaluated with ``"best"``. When all neighbours are
    evaluated and none is better, the next individual that is no neighbour is a restart and becomes
    the center.

    The position after each individual is kept. A trial that finishes late takes the climb back to
    the position before it; one that never finishes costs nothing.

    Args:
        n_initial: Number of random individuals at the start.
        improvement: ``"first"`` or ``"best"``.
    """

    def __init__(self, n_initial: int, improvement: Literal["first", "best"]) -> None:
        self._n_initial = n_initial
        self._first = improvement == "first"
        self._positions: list[_Position] = []
        self._n_read = 0

    def following(self, history: History, neighbor_keys: NeighborKeys) -> list[Individual]:
        """Return the individuals whose neighbours are to be evaluated, after all individuals."""
        self._go_back(history)
        for individual in history.individuals[len(self._positions) :]:
            self._positions.append(self._step(individual, history, neighbor_keys))
        if not self._positions:
            return []
        centers = [self._positions[-1].center, self._positions[-1].best]
        return [center for center in centers if center is not None]

    def _go_back(self, history: History) -> None:
        """Forget the positions after the first of the trials that have finished since."""
        first = min(history.finished[self._n_read :], default=math.inf)
        self._n_read = len(history.finished)
        while self._positions and self._positions[-1].number > first:
            self._positions.pop()

    def _step(self, new: Individual, history: History, neighbor_keys: NeighborKeys) -> _Position:
        n, number = len(self._positions) + 1, new.number
        if n <= self._n_initial or n == 1:
            center = _better(self._positions[-1].center, new) if n > 1 else new
            keys = neighbor_keys(center) if n == self._n_initial else frozenset()
            return _Position(number, center, None, keys)
        at = replace(self._positions[-1], number=number)
        is_better = _better(at.center, new) is new
        if is_better and self._first:
            return _Position(number, new, None, neighbor_keys(new))
        if is_better and new.key in at.neighborhood:
            at = replace(at, best=new if at.best is None else _better(at.best, new))
        elif at.best is None and _is_exhausted(at, history, number):
            at = _Position(number, new, None, neighbor_keys(new))
        if at.best is not None and _is_exhausted(at, history, number + 1):
            at = _Position(number, at.best, None, neighbor_keys(at.best))
        return at


def _is_exhausted(at: _Position, history: History, number: int) -> bool:
    """Tell whether all neighbours of the center had been tried before trial ``number``."""
    tried = history.first_numbers, history.unusable
    return all(
        any(numbers.get(key, number) < number for numbers in tried) for key in at.neighborhood
    )


def _better(first: Individual, second: Individual) -> Individual:
    return Population([first, second])[0]
