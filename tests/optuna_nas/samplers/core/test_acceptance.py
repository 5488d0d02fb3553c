"""What is proposed in the place of a proposal that is taken or infeasible."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.trial import create_trial
import pytest

from optuna_nas import CustomSpace
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import Params
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.samplers.core._acceptance import Acceptance
from optuna_nas.samplers.core._acceptance import nearest_acceptable
from optuna_nas.samplers.core._feasibility import Feasibility


SPACE = CustomSpace({"x": IntDistribution(0, 9), "y": IntDistribution(0, 9)})
DOMAIN = TrialDomain(SPACE.distributions, SPACE, None)


def history_of(*taken: tuple[int, int]) -> History:
    study = optuna.create_study()
    for x, y in taken:
        study.add_trial(
            create_trial(
                params={"x": x, "y": y}, distributions=dict(SPACE.distributions), value=0.0
            )
        )
    return History.of(study, SPACE)


def nearest(params: Params, history: History, **changes: Any) -> Params | None:
    rng = np.random.default_rng(0)
    arguments: dict[str, Any] = {
        "violation_of": lambda params: 0.0,
        "vary": lambda params: DOMAIN.mutate_one(params, rng),
        "n_tries": 50,
    }
    return nearest_acceptable(params, history, DOMAIN, rng, **{**arguments, **changes})


def test_what_is_acceptable_stays() -> None:
    assert nearest({"x": 1, "y": 2}, history_of((2, 1))) == {"x": 1, "y": 2}


def test_what_is_taken_is_varied() -> None:
    found = nearest({"x": 1, "y": 2}, history_of((1, 2)))
    assert found is not None
    assert (found["x"] == 1) != (found["y"] == 2)


@pytest.mark.parametrize("n_tries", [1, 4])
def test_nothing_is_found_where_every_try_is_taken(n_tries: int) -> None:
    everything = [(x, y) for x in range(10) for y in range(10)]
    assert nearest({"x": 1, "y": 2}, history_of(*everything), n_tries=n_tries) is None


def test_it_goes_downhill_to_the_feasible() -> None:
    def above_five(params: Params) -> float:
        return max(0.0, params["x"] + params["y"] - 5.0)

    found = nearest({"x": 9, "y": 9}, history_of(), violation_of=above_five, n_tries=200)
    assert found is not None
    assert above_five(found) == 0


def test_the_least_infeasible_is_found_where_nothing_is_feasible() -> None:
    def at_least_one(params: Params) -> float:
        return 1.0 + params["x"] + params["y"]

    found = nearest({"x": 9, "y": 9}, history_of((0, 0)), violation_of=at_least_one, n_tries=500)
    assert found in ({"x": 0, "y": 1}, {"x": 1, "y": 0})


def test_whatever_is_left_is_found_in_the_end() -> None:
    """Also where the strategy varies into what is taken, as often as it is asked."""
    history = history_of(*((x, y) for x in range(10) for y in range(10) if (x, y) != (7, 3)))
    acceptance = Acceptance(Feasibility(SPACE, []), n_tries=4, foresees=False)
    rng = np.random.default_rng(0)
    taken = {"x": 1, "y": 2}
    found = acceptance.nearest(taken, history, DOMAIN, rng, lambda params: params)
    assert found == {"x": 7, "y": 3}
    assert not acceptance.is_exhausted(history, DOMAIN)
    full = history_of(*((x, y) for x in range(10) for y in range(10)))
    assert acceptance.nearest(taken, full, DOMAIN, rng, lambda params: params) == taken
    assert acceptance.is_exhausted(full, DOMAIN)
