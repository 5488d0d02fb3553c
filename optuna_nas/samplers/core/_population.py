"""A ranked group of individuals, and the generations of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from optuna_nas import _compat
from optuna_nas.samplers.core._history import Individual
from optuna_nas.samplers.core._history import losses_of


class Population(Sequence[Individual]):
    """Individuals sorted from best to worst.

    One objective: by loss. Several: by non-dominated rank, then by crowding distance, then by
    trial number (Deb et al., A fast and elitist multiobjective genetic algorithm: NSGA-II, IEEE
    TEC 2002, section III). Infeasible individuals come last, by violation.

    Args:
        individuals: In any order.
    """

    def __init__(self, individuals: Sequence[Individual]) -> None:
        order = _best_first(individuals)
        self._sorted = [individuals[i] for i in order]
        self._fitness_shares: np.ndarray | None = None

    @overload
    def __getitem__(self, index: int) -> Individual: ...

    @overload
    def __getitem__(self, index: slice) -> list[Individual]: ...

    def __getitem__(self, index: int | slice) -> Individual | list[Individual]:
        return self._sorted[index]

    def __len__(self) -> int:
        return len(self._sorted)

    @property
    def fitness_shares(self) -> np.ndarray:
        """Probabilities of shape ``(n,)`` for roulette-wheel selection; they sum to 1."""
        if self._fitness_shares is None:
            self._fitness_shares = _fitness_shares(self._sorted)
        return self._fitness_shares


def _best_first(individuals: Sequence[Individual]) -> np.ndarray:
    losses = losses_of(individuals).reshape(len(individuals), -1)
    violations = np.array([individual.violation for individual in individuals])
    numbers = np.array([individual.number for individual in individuals])
    if losses.shape[1] == 1:
        by_loss = np.where(violations > 0, 0.0, losses[:, 0])
        return np.lexsort((numbers, by_loss, violations))
    ranks = _compat.non_domination_rank(losses, violations)
    return np.lexsort((numbers, -crowding_distance(losses, ranks), ranks))


def crowding_distance(losses: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the crowding distance within each rank (Deb et al. 2002, section III-B).

    Args:
        losses: Shape ``(n, n_objectives)``; infinite values are allowed.
        ranks: Shape ``(n,)``.

    Returns:
        Shape ``(n,)``, infinite for the extremes of each objective within a rank.
    """
    distance = np.zeros(len(losses))
    for column in losses.T:
        # Positions instead of values where a value is infinite: differences stay defined.
        if not np.isfinite(column).all():
            column = np.unique(column, return_inverse=True)[1].astype(float)
        order = np.lexsort((column, ranks))
        values, groups = column[order], ranks[order]
        is_first = np.append(True, groups[1:] != groups[:-1])
        is_last = np.append(is_first[1:], True)
        group = np.cumsum(is_first) - 1
        width = (values[is_last] - values[is_first])[group]
        gaps = np.full(len(values), np.inf)
        inner = np.flatnonzero(~is_first & ~is_last & (width > 0))
        gaps[inner] = (values[inner + 1] - values[inner - 1]) / width[inner]
        gaps[width == 0] = 0
        distance[order] += gaps
    return distance


def _fitness_shares(best_first: Sequence[Individual]) -> np.ndarray:
    losses = losses_of(best_first)
    feasible = np.array([individual.violation == 0 for individual in best_first])
    if losses.shape[1] == 1 and np.isfinite(losses[feasible]).all():
        fitness = losses[:, 0].max(where=feasible, initial=-np.inf) - losses[:, 0]
    else:
        fitness = np.arange(len(best_first), 0, -1, dtype=float)
    if feasible.any():
        fitness = np.where(feasible, fitness, 0.0)
    else:
        fitness = np.arange(len(best_first), 0, -1, dtype=float)
    if fitness.sum() == 0:  # All equally good.
        fitness = feasible.astype(float)
    shares: np.ndarray = fitness / fitness.sum()
    return shares


_MOST_SCALED = 4.0
"""Bound of the scale of the mutation rate, and of its inverse."""


class Generations:
    """The populations of a generational genetic algorithm, a function of the individuals alone.

    Individuals in the order of their trial numbers are cut into generations of equal size. The
    first population is the first generation; each later one is the best of the elite of the
    population before and of the new generation. Populations are kept until an individual with a
    lower number arrives late.

    Args:
        size: Size of a generation and of a population.
        elite: How many of a population may survive into the next.
    """

    def __init__(self, size: int, elite: int) -> None:
        self._size = size
        self._elite = elite
        self._populations: list[Population] = []
        self._scales: list[float] = []
        self._last_numbers: list[int] = []

    def current(self, individuals: Sequence[Individual]) -> Population | None:
        """Return the population after the last full generation, :obj:`None` before the first.

        Args:
            individuals: Sorted by trial number.
        """
        n_full = len(individuals) // self._size
        while self._last_numbers and not self._is_last(individuals):
            self._last_numbers.pop()
            self._populations.pop()
            self._scales.pop()
        for generation in range(len(self._populations), n_full):
            end = (generation + 1) * self._size
            self._append(individuals[end - self._size : end])
            self._last_numbers.append(individuals[end - 1].number)
        return self._populations[-1] if self._populations else None

    @property
    def mutation_scale(self) -> float:
        """What an adaptive mutation rate is multiplied by, in [1/4, 4]; 1 at the start.

        It follows the rule that one child in five should be a success (Rechenberg,
        Evolutionsstrategie, 1973, in the smooth form of Igel, Hansen & Roth, Covariance matrix
        adaptation for multi-objective optimization, Evolutionary Computation 2007, procedure 2):
        more successes raise it, fewer lower it. As parents are not recorded, a child is a success
        if it ranks above the middle of the population that it came from.
        """
        return self._scales[-1] if self._scales else 1.0

    def _append(self, generation: Sequence[Individual]) -> None:
        members, scale = list(generation), 1.0
        if self._populations:
            before = self._populations[-1]
            share = _share_above_middle(generation, before)
            scale = self._scales[-1] * 2 ** ((share - 0.2) / (1 - 0.2))
            members += before[: self._elite]
        self._populations.append(Population(Population(members)[: self._size]))
        self._scales.append(min(max(scale, 1 / _MOST_SCALED), _MOST_SCALED))

    def _is_last(self, individuals: Sequence[Individual]) -> bool:
        end = len(self._last_numbers) * self._size
        return end <= len(individuals) and individuals[end - 1].number == self._last_numbers[-1]


def _share_above_middle(generation: Sequence[Individual], before: Population) -> float:
    middle = before[(len(before) - 1) // 2].number
    children = {member.number for member in generation}
    together = [member.number for member in Population([*before, *generation])]
    above = together[: together.index(middle)]
    return sum(number in children for number in above) / len(children)
