"""Selection and crossover of genetic algorithms, as pure functions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from optuna_nas.samplers._history import Params
from optuna_nas.samplers._population import Population


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
