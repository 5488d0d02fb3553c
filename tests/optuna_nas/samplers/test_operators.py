"""Selection, crossover, mutation and ranking, without a study."""

from collections import Counter
import math

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import CellSpace
from optuna_nas import CustomSpace
from optuna_nas.samplers import _values
from optuna_nas.samplers._domain import Domain
from optuna_nas.samplers._history import Individual
from optuna_nas.samplers._operators import one_point_crossover
from optuna_nas.samplers._operators import RouletteSelection
from optuna_nas.samplers._operators import TournamentSelection
from optuna_nas.samplers._operators import uniform_crossover
from optuna_nas.samplers._population import crowding_distance
from optuna_nas.samplers._population import Generations
from optuna_nas.samplers._population import Population


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


NAMES = ["a", "b", "c", "d", "e"]
FIRST = dict.fromkeys(NAMES, 1)
SECOND = dict.fromkeys(NAMES, 2)


def test_one_point_crossover_has_one_point() -> None:
    rng = np.random.default_rng(0)
    children = [tuple(one_point_crossover(FIRST, SECOND, NAMES, rng).values()) for _ in range(200)]
    assert set(children) == {(1,) * k + (2,) * (5 - k) for k in range(1, 5)}


def test_uniform_crossover_takes_half_from_each() -> None:
    rng = np.random.default_rng(0)
    children = np.array(
        [list(uniform_crossover(FIRST, SECOND, NAMES, rng).values()) for _ in range(2000)]
    )
    np.testing.assert_allclose((children == 1).mean(axis=0), 0.5, atol=0.05)
    assert len(np.unique(children, axis=0)) == 2**5


@pytest.mark.parametrize("crossover", [one_point_crossover, uniform_crossover])
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


@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
def test_draws_are_members_and_spread(name: str) -> None:
    distribution = DISTRIBUTIONS[name]
    rng = np.random.default_rng(0)
    values = [_values.draw(name, distribution, rng) for _ in range(2000)]
    assert all(distribution._contains(distribution.to_internal_repr(v)) for v in values)
    if name in ("categorical", "int", "int-step", "float-step"):
        counts = np.array(list(Counter(values).values()))
        n = {"categorical": 3, "int": 11, "int-step": 3, "float-step": 5}[name]
        assert len(counts) == n
        assert (abs(counts - 2000 / n) < 5 * math.sqrt(2000 / n)).all()
    if name == "float-log":
        np.testing.assert_allclose(np.mean(np.log10(values)), -2.5, atol=0.1)
    if name == "int-log":  # The cell of v is from v - 1/2 to v + 1/2 on the logarithmic scale.
        expected = [math.log((v + 0.5) / (v - 0.5)) / math.log(8.5 / 0.5) for v in range(1, 9)]
        shares = [Counter(values)[v] / 2000 for v in range(1, 9)]
        np.testing.assert_allclose(shares, expected, atol=0.03)


@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
def test_redraw_changes_the_value(name: str) -> None:
    distribution = DISTRIBUTIONS[name]
    rng = np.random.default_rng(0)
    value = _values.draw(name, distribution, rng)
    assert all(_values.redraw(name, distribution, value, rng) != value for _ in range(200))


def test_mutation_rate() -> None:
    space = CellSpace()
    domain = Domain(space.distributions, space, None)
    rng = np.random.default_rng(0)
    params = domain.sample(rng)

    def changed(rate: float | None) -> float:
        return float(
            np.mean(
                [
                    sum(v != params[k] for k, v in domain.mutate(params, rate, rng).items())
                    for _ in range(2000)
                ]
            )
        )

    np.testing.assert_allclose([changed(None), changed(0.5)], [1, 3], atol=0.1)
    assert changed(0) == 0
    assert changed(1) == 6


def test_completing_keeps_given_and_fixed_values_and_drops_inactive_ones() -> None:
    space = CustomSpace(
        {"n": IntDistribution(1, 2), "second": IntDistribution(0, 9)},
        active_if={"second": lambda params: params["n"] == 2},
    )
    rng = np.random.default_rng(0)
    domain = Domain({**space.distributions, "rate": FloatDistribution(0, 1)}, space, None)
    assert domain.complete({"n": 1, "second": 3, "rate": 0.5}, rng) == {"n": 1, "rate": 0.5}
    assert domain.complete({"n": 2, "second": 3, "rate": 0.5}, rng)["second"] == 3
    fixed = Domain(space.distributions, space, None, fixed={"n": 2})
    assert set(fixed.complete({"n": 1}, rng)) == {"n", "second"}


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
