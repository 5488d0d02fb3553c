"""The parameters of one proposal: mutation and completion."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_nas import CellSpace
from optuna_nas import CustomSpace
from optuna_nas.samplers.core import TrialDomain


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
