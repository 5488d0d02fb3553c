"""Selection and crossover of genetic algorithms, as pure functions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from optuna_nas.samplers.core._history import Params
from optuna_nas.samplers.core._population import Population


Selection = Callable[[Population, np.random.Generator], int]
"""``selection(population, rng)`` returns the position of a parent."""
Crossover = Callable[
    [Mapping[str, Any], Mapping[str, Any], Sequence[str], np.random.Generator], Params
]
"""``crossover(first, second, names, rng)`` returns the parameters of a child."""


class TournamentSelection:
    """The best of ``size`` individuals drawn with replacement.

    Source: Goldberg & Deb, A comparative analysis of selection schemes used in genetic
    algorithms, FOGA 1991, section 2.3.

    Args:
        size: Number of individuals of a tournament, at least 1 (1 selects at random).
    """

    def __init__(self, size: int = 2) -> None:
        if size < 1:
            raise ValueError(f"Expected argument `size` to be at least 1 but got {size}.")
        self.size = size

    def __call__(self, population: Population, rng: np.random.Generator) -> int:
        """Return the position of the winner."""
        # Positions are sorted from best to worst.
        return int(rng.integers(len(population), size=self.size).min())


class RouletteSelection:
    """Each individual with a probability proportional to its fitness.

    With one objective the fitness is the distance to the worst loss of the population; with
    several, or where losses are infinite, it is the linear rank. Infeasible individuals are drawn
    only if there are no others.

    Source: Holland, Adaptation in Natural and Artificial Systems, 1975; Goldberg, Genetic
    Algorithms in Search, Optimization and Machine Learning, 1989, chapter 4 (scaling by a window).
    """

    def __call__(self, population: Population, rng: np.random.Generator) -> int:
        """Return the position of the individual on which the wheel stops."""
        return int(rng.choice(len(population), p=population.fitness_shares))


class RankSelection:
    """Each individual with a probability that falls linearly with its position.

    The best is selected ``pressure`` times as often as the middle one, the worst ``2 - pressure``
    times. Unlike roulette selection it is indifferent to the scale of losses.

    Source: Baker, Adaptive selection methods for genetic algorithms, ICGA 1985.

    Args:
        pressure: Expected number of selections of the best, relative to the mean, in [1, 2].
    """

    def __init__(self, pressure: float = 2.0) -> None:
        if not 1 <= pressure <= 2:
            raise ValueError(f"Expected argument `pressure` to be in [1, 2] but got {pressure}.")
        self.pressure = pressure

    def __call__(self, population: Population, rng: np.random.Generator) -> int:
        """Return the position of an individual."""
        n = len(population)
        relative = np.linspace(self.pressure, 2 - self.pressure, n) if n > 1 else np.ones(1)
        return int(rng.choice(n, p=relative / relative.sum()))


def uniform_crossover(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    names: Sequence[str],
    rng: np.random.Generator,
) -> Params:
    """Take each parameter from either parent with equal probability.

    A parameter that only one parent has comes from that one.

    Source: Syswerda, Uniform crossover in genetic algorithms, ICGA 1989.
    """
    return _take(first, second, names, rng.random(len(names)) < 0.5)


def one_point_crossover(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    names: Sequence[str],
    rng: np.random.Generator,
) -> Params:
    """Take the parameters before a random point from the first parent, the others from the second.

    A parameter that only one parent has comes from that one. The point lies between two
    parameters, so each parent gives at least one where there are two.

    Source: Holland, Adaptation in Natural and Artificial Systems, 1975.
    """
    n = len(names)
    point = int(rng.integers(1, n)) if n > 1 else n
    return _take(first, second, names, np.arange(n) < point)


def two_point_crossover(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    names: Sequence[str],
    rng: np.random.Generator,
) -> Params:
    """Take the parameters between two random points from the second parent.

    The others come from the first. A parameter that only one parent has comes from that one. The
    parameters count as a ring, so that neither the first nor the last is special, and each parent
    gives at least one.

    Source: De Jong, An Analysis of the Behavior of a Class of Genetic Adaptive Systems, 1975,
    section 4.6 (chromosomes as rings).
    """
    n = len(names)
    if n < 2:
        return _take(first, second, names, np.ones(n, dtype=bool))
    start = int(rng.integers(n))
    length = int(rng.integers(1, n))
    return _take(first, second, names, (np.arange(n) - start) % n >= length)


def _take(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    names: Sequence[str],
    from_first: np.ndarray,
) -> Params:
    child: Params = {}
    for name, is_first in zip(names, from_first, strict=True):
        preferred, other = (first, second) if is_first else (second, first)
        if name in preferred:
            child[name] = preferred[name]
        elif name in other:
            child[name] = other[name]
    return child
