"""Decisions: values as positions and actions, and where a policy starts."""

from __future__ import annotations

import math

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import CustomSpace
from optuna_nas.prior import Prior
from optuna_nas.samplers.core import _values
from optuna_nas.samplers.policy import Decision


DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "categorical": CategoricalDistribution(("a", None, True, 1.5)),
    "int": IntDistribution(-3, 7),
    "int-step": IntDistribution(0, 10, step=5),
    "int-log": IntDistribution(1, 8, log=True),
    "int-wide": IntDistribution(0, 1000),
    "int-wide-log": IntDistribution(1, 1000, log=True),
    "float": FloatDistribution(-1, 1),
    "float-step": FloatDistribution(0, 1, step=0.25),
    "float-step-wide": FloatDistribution(0, 1, step=0.01),
    "float-log": FloatDistribution(1e-4, 1e-1, log=True),
    "single": IntDistribution(3, 3),
}
MIXED = CustomSpace(
    {
        "depth": IntDistribution(1, 3),
        **{f"kernel_{i}": CategoricalDistribution([3, 5, 7, 9]) for i in (1, 2, 3)},
    },
    active_if={f"kernel_{i}": lambda params, i=i: params["depth"] >= i for i in (2, 3)},
)


@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
def test_positions_are_values(name: str) -> None:
    decision = Decision(name, DISTRIBUTIONS[name])
    rng = np.random.default_rng(0)
    for _ in range(200):
        value = _values.draw(name, decision.distribution, rng)
        position = decision.position(value)
        back = decision.value(position)
        assert type(back) is type(value)
        assert back == value or back == pytest.approx(value, rel=1e-4, abs=1e-5)
        action = decision.actions(np.array([position]))
        assert 0 < action[0] < 1
        assert decision.from_actions(action)[0] == position
    assert decision.n_choices == {
        "categorical": 4,
        "int": 11,
        "int-step": 3,
        "int-log": 8,
        "float-step": 5,
        "single": 1,
    }.get(name, 0)


def test_values_out_of_range_count_as_the_nearest() -> None:  # Optuna lets them be enqueued.
    decision = Decision("x", IntDistribution(0, 4))
    assert [decision.position(value) for value in (-3, 9)] == [0, 4]
    wide = Decision("x", FloatDistribution(0, 1))
    assert [wide.position(value) for value in (-3, 9)] == [1e-6, 1 - 1e-6]


def test_first_probabilities() -> None:
    log = Decision("x", IntDistribution(1, 8, log=True)).initial_probabilities(None)
    expected = [math.log((v + 0.5) / (v - 0.5)) / math.log(8.5 / 0.5) for v in range(1, 9)]
    np.testing.assert_allclose(log, expected)
    prior = Prior(MIXED, {"kernel_1": [3, 1, 0, 0]}, floor=0.2)
    kernel = Decision("kernel_1", MIXED.distributions["kernel_1"])
    np.testing.assert_allclose(kernel.initial_probabilities(prior), [0.65, 0.25, 0.05, 0.05])
    other = Decision("kernel_1", CategoricalDistribution([1, 2]))
    np.testing.assert_allclose(other.initial_probabilities(prior), [0.5, 0.5])
