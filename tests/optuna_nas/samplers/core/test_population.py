"""Ranked individuals, and the generations of a study."""

from __future__ import annotations

import math

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas.samplers.core._history import Individual
from optuna_nas.samplers.core._population import crowding_distance
from optuna_nas.samplers.core._population import Generations
from optuna_nas.samplers.core._population import Population


def individual(number: int, *losses: float, violation: float = 0.0) -> Individual:
    return Individual(number, {"x": number}, losses, violation, number)


def numbers(population: Population) -> list[int]:
    return [member.number for member in population]


def test_population_sorts_by_loss_then_violation() -> None:
    members = [
        individual(0, 3.0),
        individual(1, -math.inf, violation=2.0),
        individual(2, 1.0),
        individual(3, 9.0, violation=1.0),
        individual(4, 1.0),
        individual(5, math.inf),
    ]
    assert numbers(Population(members)) == [2, 4, 0, 5, 3, 1]


def test_population_sorts_by_rank_then_crowding() -> None:
    front = [(0.0, 4.0), (1.0, 3.0), (1.2, 2.8), (4.0, 0.0)]
    members = [individual(i, *losses) for i, losses in enumerate(front)]
    members += [individual(4, 5.0, 5.0), individual(5, 0.0, 0.0, violation=1.0)]
    order = numbers(Population(members))
    assert set(order[:2]) == {0, 3}
    assert order[2:] == [2, 1, 4, 5]  # (1.2, 2.8) has the wider gap to its neighbours.


def test_crowding_distance_by_hand() -> None:
    losses = np.array([[0.0, 10.0], [2.0, 6.0], [5.0, 1.0], [10.0, 0.0]])
    distance = crowding_distance(losses, np.zeros(4))
    assert np.isinf(distance[[0, 3]]).all()
    np.testing.assert_allclose(distance[[1, 2]], [5 / 10 + 9 / 10, 8 / 10 + 6 / 10])


def test_crowding_distance_with_infinity_and_equal_values_has_no_nan() -> None:
    losses = np.array([[0.0, 1.0], [math.inf, 1.0], [1.0, 1.0], [-math.inf, 1.0]])
    assert not np.isnan(crowding_distance(losses, np.zeros(4))).any()


@pytest.mark.parametrize(
    ("members", "shares"),
    [
        ([individual(0, 1.0), individual(1, 1.0)], [1 / 2, 1 / 2]),
        ([individual(0, 1.0), individual(1, math.inf)], [2 / 3, 1 / 3]),
        ([individual(0, 1.0), individual(1, 0.0, violation=1.0)], [1, 0]),
        ([individual(0, 1.0, violation=2.0), individual(1, 0.0, violation=1.0)], [2 / 3, 1 / 3]),
        ([individual(0, 1.0, 1.0), individual(1, 2.0, 2.0)], [2 / 3, 1 / 3]),
    ],
)
def test_roulette_shares_in_special_cases(members: list[Individual], shares: list[float]) -> None:
    np.testing.assert_allclose(Population(members).fitness_shares, shares)


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


def test_generations_keep_the_elite_and_replay_after_a_late_arrival() -> None:
    losses = [5, 4, 3, 2, 9, 8, 7, 1, 6, 6, 6, 0]
    members = [individual(i, float(loss)) for i, loss in enumerate(losses)]
    generations = Generations(4, 2)
    assert generations.current(members[:3]) is None
    first = generations.current(members[:4])
    assert first is not None
    assert numbers(first) == [3, 2, 1, 0]
    second = generations.current(members[:8])
    assert second is not None
    assert numbers(second) == [7, 3, 2, 6]  # New: 9 8 7 1; elite: 2 and 3.
    late = members[:2] + members[3:]  # Number 2 arrives last.
    for n in (4, 8):
        generations.current(late[:n])
    replayed = generations.current(members)
    straight = Generations(4, 2).current(members)
    assert replayed is not None
    assert straight is not None
    assert numbers(replayed) == numbers(straight) == [11, 7, 3, 8]


def test_adaptive_mutation_follows_successes_within_bounds() -> None:
    # Each child is better than all before, then each is worse.
    better = [individual(i, float(-i)) for i in range(40)]
    generations = Generations(4, 4)
    scales = []
    for n in range(4, 41, 4):
        generations.current(better[:n])
        scales.append(generations.mutation_scale)
    assert scales[:3] == [1, 2, 4]
    assert set(scales[2:]) == {4}
    worse = better[:8] + [individual(i, float(i)) for i in range(8, 60)]
    straight = Generations(4, 4)
    straight.current(worse)
    assert straight.mutation_scale == 1 / 4
    # A late arrival is as good as one in time.
    late = Generations(4, 4)
    late.current(worse[:3] + worse[4:])
    late.current(worse)
    assert late.mutation_scale == straight.mutation_scale
    # One success in five leaves it as it is.
    fifth = [individual(i, float(i)) for i in range(5)]
    fifth += [individual(5, -1.0), *(individual(i, 9.0) for i in range(6, 10))]
    steady = Generations(5, 5)
    steady.current(fifth)
    assert steady.mutation_scale == pytest.approx(1)
