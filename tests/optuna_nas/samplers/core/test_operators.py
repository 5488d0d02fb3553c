"""Selection, crossover, mutation and ranking, without a study."""

from collections import Counter
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import CellSpace
from optuna_nas import CustomSpace
from optuna_nas.samplers.core import _values
from optuna_nas.samplers.core._domain import TrialDomain
from optuna_nas.samplers.core._history import Individual
from optuna_nas.samplers.core._operators import one_point_crossover
from optuna_nas.samplers.core._operators import RankSelection
from optuna_nas.samplers.core._operators import RouletteSelection
from optuna_nas.samplers.core._operators import TournamentSelection
from optuna_nas.samplers.core._operators import two_point_crossover
from optuna_nas.samplers.core._operators import uniform_crossover
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


NUMBERS = [name for name in DISTRIBUTIONS if name != "categorical"]


def number(name: str) -> FloatDistribution | IntDistribution:
    distribution = DISTRIBUTIONS[name]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution


def contains(distribution: BaseDistribution, value: Any) -> bool:
    return distribution._contains(distribution.to_internal_repr(value))


@pytest.mark.parametrize("name", NUMBERS)
def test_from_unit_inverts_to_unit_and_stays_within_bounds(name: str) -> None:
    distribution = number(name)
    for unit in (0.0, 0.2, 0.5, 0.999, 1.0):
        value = _values.from_unit(distribution, unit)
        assert contains(distribution, value)
        assert type(value) is (int if name.startswith("int") else float)
        back = _values.to_unit(distribution, value)
        assert 0 <= back <= 1
        assert _values.from_unit(distribution, back) == pytest.approx(value)
    assert _values.from_unit(distribution, 0) == pytest.approx(distribution.low)
    assert _values.from_unit(distribution, 1) == pytest.approx(distribution.high)


@pytest.mark.parametrize("distribution", [FloatDistribution(2, 2), IntDistribution(3, 3)])
def test_a_single_value_stays(distribution: FloatDistribution | IntDistribution) -> None:
    rng = np.random.default_rng(0)
    assert _values.to_unit(distribution, distribution.low) == 0.5
    assert _values.from_unit(distribution, 0.5) == distribution.low
    assert _values.redraw("x", distribution, distribution.low, rng) == distribution.low
    assert _values.polynomial_mutation(distribution, distribution.low, rng) == distribution.low
    assert set(_values.nearby(distribution, distribution.low)) <= {distribution.low}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("at", [0.0, 0.3, 1.0])
def test_polynomial_mutation_stays_within_bounds_and_near(name: str, at: float) -> None:
    distribution = number(name)
    rng = np.random.default_rng(0)
    value = _values.from_unit(distribution, at)
    unit = _values.to_unit(distribution, value)
    moves = {}
    for eta in (2.0, 20.0):
        mutated = [
            _values.polynomial_mutation(distribution, value, rng, eta=eta) for _ in range(500)
        ]
        assert all(contains(distribution, v) for v in mutated)
        moves[eta] = np.mean([abs(_values.to_unit(distribution, v) - unit) for v in mutated])
    assert moves[20.0] < moves[2.0]


def test_polynomial_mutation_by_the_formula() -> None:
    class Fixed:
        def random(self) -> float:
            return 0.3

    # Deb & Agrawal: delta = (2u + (1 - 2u)(1 - delta_1)^(eta + 1))^(1 / (eta + 1)) - 1.
    mutated = _values.polynomial_mutation(
        FloatDistribution(0, 10),
        4.0,
        Fixed(),  # type: ignore[arg-type]
        eta=1.0,
    )
    assert mutated == pytest.approx(4 + 10 * (math.sqrt(0.6 + 0.4 * 0.6**2) - 1))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("categorical", "b", ["a", "c"]),
        ("int", 0, [-1, 1]),
        ("int", -3, [-2]),
        ("int-step", 10, [5]),
        ("int-log", 8, [7]),
        ("float-step", 0.25, [0, 0.5]),
        ("float", 0.0, [-0.2, 0.2]),
        ("float", 1.0, [0.8]),
        ("float-log", 1e-2, [1e-2 / 10**0.3, 1e-2 * 10**0.3]),
    ],
)
def test_values_nearby(name: str, value: Any, expected: list[Any]) -> None:
    found = _values.nearby(DISTRIBUTIONS[name], value)
    assert found == (expected if name == "categorical" else pytest.approx(expected))


def test_mutation_by_steps() -> None:
    distributions = {
        "int": IntDistribution(0, 100),
        "category": CategoricalDistribution(("a", "b", "c")),
        "float": FloatDistribution(1e-4, 1e-1, log=True),
    }
    domain = TrialDomain(distributions, None, None)
    rng = np.random.default_rng(0)
    params = {"int": 50, "category": "a", "float": 1e-2}
    stepped = [domain.mutate(params, 1.0, rng, step=True) for _ in range(200)]
    assert {p["int"] for p in stepped} == {49, 51}
    assert {p["category"] for p in stepped} == {"b", "c"}
    drawn = [domain.mutate(params, 1.0, rng) for _ in range(200)]
    assert len({p["int"] for p in drawn}) > 50

    def spread(found: list[dict[str, Any]]) -> float:
        return float(np.std([math.log(p["float"]) for p in found]))

    assert spread(stepped) < spread(drawn)


def test_mutation_rate() -> None:
    space = CellSpace()
    domain = TrialDomain(space.distributions, space, None)
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


def test_mutation_leaves_out_decisions_with_one_choice() -> None:
    whole = CellSpace()
    around = whole.sample(np.random.default_rng(0))
    frozen = whole.freeze({name: around[name] for name in list(around)[:5]})
    space = CustomSpace(
        {
            **{name: CategoricalDistribution((choice,)) for name, choice in around.items()},
            "free": CategoricalDistribution(("a", "b")),
        }
    )
    rng = np.random.default_rng(1)
    for searched in (frozen, space):
        domain = TrialDomain(searched.distributions, searched, None)
        params = domain.sample(rng)
        assert domain.mutate(params, 0.999999, rng) != params
        assert domain.mutate_one(params, rng) != params
        n_changed = sum(domain.mutate(params, None, rng) != params for _ in range(50))
        assert n_changed == 50  # The rate is 1 of 1.
    fixed = TrialDomain({"a": CategoricalDistribution((1,))}, None, None)
    assert fixed.mutate({"a": 1}, 1.0, rng) == fixed.mutate_one({"a": 1}, rng) == {"a": 1}


def test_completing_keeps_given_and_fixed_values_and_drops_inactive_ones() -> None:
    space = CustomSpace(
        {"n": IntDistribution(1, 2), "second": IntDistribution(0, 9)},
        active_if={"second": lambda params: params["n"] == 2},
    )
    rng = np.random.default_rng(0)
    domain = TrialDomain({**space.distributions, "rate": FloatDistribution(0, 1)}, space, None)
    assert domain.complete({"n": 1, "second": 3, "rate": 0.5}, rng) == {"n": 1, "rate": 0.5}
    assert domain.complete({"n": 2, "second": 3, "rate": 0.5}, rng)["second"] == 3
    fixed = TrialDomain(space.distributions, space, None, fixed={"n": 2})
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
