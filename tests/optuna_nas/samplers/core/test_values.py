"""Drawing and changing single values."""

from __future__ import annotations

from collections import Counter
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas.samplers.core import _values


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


@pytest.mark.parametrize(("low", "high", "step"), [(0.0, 1.0, 0.1), (0.3, 0.9, 0.1), (-1, 2, 0.3)])
def test_steps_to_nearby_values_stay_on_the_grid(low: float, high: float, step: float) -> None:
    distribution = FloatDistribution(low, high, step=step)
    n = round((high - low) / step)
    grid = [round(low + k * step, 9) for k in range(n + 1)]
    walked = [distribution.low]
    while len(walked) <= n:
        walked.append(_values.nearby(distribution, walked[-1])[-1])
    assert walked == grid
    assert _values.nearby(distribution, distribution.high) == [grid[-2]]
    units = np.linspace(0, 1, 50)
    assert {_values.from_unit(distribution, unit) for unit in units} == set(grid)
