"""Neighbours of trials, each looked up once."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import Constraint
from optuna_nas import CustomSpace
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import Neighborhoods
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.samplers.core._feasibility import Feasibility


SPACE = CustomSpace({"x": IntDistribution(0, 9), "y": IntDistribution(0, 9)})
DOMAIN = TrialDomain(SPACE.distributions, SPACE, None)
BELOW = Constraint("sum", upper=9, function=lambda a: float(a["x"]) + float(a["y"]))


@pytest.fixture
def history() -> History:
    study = optuna.create_study()
    study.enqueue_trial({"x": 4, "y": 5})
    study.optimize(lambda trial: len(SPACE.suggest(trial)), n_trials=1)
    return History.of(study, SPACE)


def neighborhoods(*constraints: Constraint) -> Neighborhoods:
    found = Neighborhoods(Feasibility(SPACE, constraints))
    found.prepare(DOMAIN)
    return found


def pairs(neighbors: list[Any]) -> set[tuple[int, int]]:
    return {(near.params["x"], near.params["y"]) for near in neighbors}


def test_neighbours_have_their_keys(history: History) -> None:
    near = neighborhoods().of(history.individuals[0], history, DOMAIN)
    assert pairs(near) == {(3, 5), (5, 5), (4, 4), (4, 6)}
    assert all(history.key(neighbor.params) == neighbor.key for neighbor in near)


def test_infeasible_neighbours_are_left_out(history: History) -> None:
    near = neighborhoods(BELOW).of(history.individuals[0], history, DOMAIN)
    assert pairs(near) == {(3, 5), (4, 4)}


def test_neighbours_and_features_are_computed_once(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, center = neighborhoods(), history.individuals[0]
    first = known.of(center, history, DOMAIN)
    features = known.features(center, DOMAIN, DOMAIN.names)
    np.testing.assert_array_equal(features, DOMAIN.features(center.params))

    def fail(*args: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(TrialDomain, "neighbors", fail)
    monkeypatch.setattr(TrialDomain, "features", fail)
    known.prepare(DOMAIN)
    assert known.of(center, history, DOMAIN) is first
    assert known.features(center, DOMAIN, DOMAIN.names) is features


def test_other_parameters_or_fixed_values_make_others(history: History) -> None:
    known, center = neighborhoods(), history.individuals[0]
    known.of(center, history, DOMAIN)
    fixed = TrialDomain(SPACE.distributions, SPACE, None, fixed={"x": 4})
    known.prepare(fixed)
    assert pairs(known.of(center, history, fixed)) == {(4, 4), (4, 6)}
    rate = FloatDistribution(0, 1)
    more = TrialDomain({**SPACE.distributions, "rate": rate}, SPACE, None)
    known.prepare(more)
    assert len(known.features(center, more, more.names)) == len(DOMAIN.features(center.params)) + 2
