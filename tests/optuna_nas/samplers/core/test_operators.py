"""Selection and crossover: probabilities, and what children inherit."""

from __future__ import annotations

from collections import Counter

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas.samplers.core._history import Individual
from optuna_nas.samplers.core._operators import one_point_crossover
from optuna_nas.samplers.core._operators import RankSelection
from optuna_nas.samplers.core._operators import RouletteSelection
from optuna_nas.samplers.core._operators import TournamentSelection
from optuna_nas.samplers.core._operators import two_point_crossover
from optuna_nas.samplers.core._operators import uniform_crossover
from optuna_nas.samplers.core._population import Population


def individual(number: int, *losses: float, violation: float = 0.0) -> Individual:
    return Individual(number, {"x": number}, losses, violation, number)


def test_tournament_probabilities() -> None:
    population = Population([individual(i, float(i)) for i in range(4)])
    rng = np.random.default_rng(0)
    select = TournamentSelection(2)
    counts = Counter(select(population, rng) for _ in range(8000))
    # Position k of n wins with probability ((n - k)^2 - (n - k - 1)^2) / n^2.
    shares = [counts[k] / 8000 for k in range(4)]
    np.testing.assert_allclose(shares, [7 / 16, 5 / 16, 3 / 16, 1 / 16], atol=0.02)


def test_roulette_is_proportional_to_the_distance_from_the_worst() -> None:
    population = Population([individual(i, loss) for i, loss in enumerate([4.0, 3.0, 1.0])])
    np.testing.assert_allclose(population.fitness_shares, [3 / 4, 1 / 4, 0])
    rng = np.random.default_rng(0)
    select = RouletteSelection()
    counts = Counter(select(population, rng) for _ in range(4000))
    np.testing.assert_allclose(counts[0] / 4000, 0.75, atol=0.02)


@pytest.mark.parametrize(
    ("pressure", "shares"),
    [(2.0, [1 / 2, 1 / 3, 1 / 6, 0]), (1.0, [1 / 4] * 4)],
)
def test_rank_selection_is_linear_in_the_position(pressure: float, shares: list[float]) -> None:
    population = Population([individual(i, 10.0**i) for i in range(4)])
    rng = np.random.default_rng(0)
    select = RankSelection(pressure)
    counts = Counter(select(population, rng) for _ in range(8000))
    np.testing.assert_allclose([counts[k] / 8000 for k in range(4)], shares, atol=0.02)
    assert select(Population([individual(0, 1.0)]), rng) == 0


def test_rank_selection_refuses_other_pressures() -> None:
    with pytest.raises(ValueError, match=r"`pressure` to be in \[1, 2\] but got 2.5"):
        RankSelection(2.5)


NAMES = ["a", "b", "c", "d", "e"]
FIRST = dict.fromkeys(NAMES, 1)
SECOND = dict.fromkeys(NAMES, 2)


def test_one_point_crossover_has_one_point() -> None:
    rng = np.random.default_rng(0)
    children = [tuple(one_point_crossover(FIRST, SECOND, NAMES, rng).values()) for _ in range(200)]
    assert set(children) == {(1,) * k + (2,) * (5 - k) for k in range(1, 5)}


def test_two_point_crossover_takes_one_stretch_of_the_ring() -> None:
    rng = np.random.default_rng(0)
    children = {
        tuple(two_point_crossover(FIRST, SECOND, NAMES, rng).values()) for _ in range(1000)
    }
    expected = {
        tuple(2 if (i - start) % 5 < length else 1 for i in range(5))
        for start in range(5)
        for length in range(1, 5)
    }
    assert children == expected
    assert two_point_crossover({"a": 1}, {"a": 2}, ["a"], rng) == {"a": 1}


def test_uniform_crossover_takes_half_from_each() -> None:
    rng = np.random.default_rng(0)
    children = np.array(
        [list(uniform_crossover(FIRST, SECOND, NAMES, rng).values()) for _ in range(2000)]
    )
    np.testing.assert_allclose((children == 1).mean(axis=0), 0.5, atol=0.05)
    assert len(np.unique(children, axis=0)) == 2**5


@pytest.mark.parametrize(
    "crossover", [one_point_crossover, two_point_crossover, uniform_crossover]
)
def test_crossover_takes_what_only_one_parent_has(crossover) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    for _ in range(20):
        child = crossover({"a": 1, "b": 1}, {"b": 2, "c": 2}, ["a", "b", "c", "d"], rng)
        assert child["a"] == 1
        assert child["c"] == 2
        assert child["b"] in (1, 2)
        assert "d" not in child


DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "categorical": CategoricalDistribution(("a", "b", "c")),
    "int": IntDistribution(-3, 7),
    "int-step": IntDistribution(0, 10, step=5),
    "int-log": IntDistribution(1, 8, log=True),
    "float": FloatDistribution(-1, 1),
    "float-step": FloatDistribution(0, 1, step=0.25),
    "float-log": FloatDistribution(1e-4, 1e-1, log=True),
}


def number(name: str) -> FloatDistribution | IntDistribution:
    distribution = DISTRIBUTIONS[name]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution
