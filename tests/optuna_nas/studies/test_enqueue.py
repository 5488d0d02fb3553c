"""Taking the best trials of one study to another."""

from __future__ import annotations

import math

import optuna
from optuna.trial import create_trial
from optuna.trial import TrialState
import pytest

from optuna_nas import CellSpace
from optuna_nas import enqueue_best
from optuna_nas.studies.enqueue import PROMOTED_FROM


X = {"x": optuna.distributions.IntDistribution(0, 100)}
CELL = CellSpace()


def study_with(*trials: tuple[int, float | tuple[float, float]]) -> optuna.Study:
    first = trials[0][1]
    directions = ["minimize"] * (len(first) if isinstance(first, tuple) else 1)
    study = optuna.create_study(study_name="short", directions=directions)
    for x, values in trials:
        given = list(values) if isinstance(values, tuple) else [values]
        study.add_trial(create_trial(params={"x": x}, distributions=X, values=given))
    return study


def waiting(study: optuna.Study) -> list[int]:
    return [
        trial.system_attrs["fixed_params"]["x"]
        for trial in study.get_trials(states=[TrialState.WAITING])
    ]


def test_best_first() -> None:
    source = study_with((5, 3.0), (6, 1.0), (7, 2.0), (8, 9.0))
    study = optuna.create_study()
    assert enqueue_best(study, source, 3) == [1, 2, 0]
    assert waiting(study) == [6, 7, 5]
    assert study.trials[0].user_attrs[PROMOTED_FROM] == ["short", 1]


def test_direction_of_the_source_counts() -> None:
    source = optuna.create_study(direction="maximize")
    for x in (1, 3, 2):
        source.add_trial(create_trial(params={"x": x}, distributions=X, value=float(x)))
    study = optuna.create_study()
    assert enqueue_best(study, source, 2) == [1, 2]


def test_front_before_the_rest() -> None:
    source = study_with((1, (0.0, 9.0)), (2, (5.0, 5.0)), (3, (6.0, 6.0)), (4, (9.0, 0.0)))
    study = optuna.create_study(directions=["minimize", "minimize"])
    assert set(enqueue_best(study, source, 3)) == {0, 1, 3}
    assert len(enqueue_best(study, source, 9)) == 4


def test_what_failed_was_pruned_or_infeasible_stays() -> None:
    source = study_with((1, 4.0))
    for x, state in [(2, TrialState.FAIL), (3, TrialState.PRUNED)]:
        source.add_trial(create_trial(params={"x": x}, distributions=X, state=state))
    trial = source.ask(X)
    trial.set_constraint("size", 1.0)
    source.tell(trial, -5.0)
    source.add_trial(create_trial(params={"x": 9}, distributions=X, value=math.inf))
    study = optuna.create_study()
    assert enqueue_best(study, source, 9) == [0, 4]


def test_nothing_is_enqueued_twice() -> None:
    source = study_with((5, 3.0), (6, 1.0), (5, 2.0))
    study = optuna.create_study()
    study.add_trial(create_trial(params={"x": 6}, distributions=X, value=0.0))
    assert enqueue_best(study, source, 3) == [1, 2]
    assert enqueue_best(study, source, 3) == [1, 2]
    assert waiting(study) == [5]


def test_equal_architectures_are_one() -> None:
    source = optuna.create_study()
    dead = [dict.fromkeys(CELL.distributions, "none") for _ in range(2)]
    dead[1]["edge_0_1"] = "skip_connect"  # Nothing leads on from there.
    other = dict.fromkeys(CELL.distributions, "nor_conv_1x1")
    for params, value in zip([*dead, other], [2.0, 1.0, 3.0], strict=True):
        source.add_trial(
            create_trial(params=params, distributions=dict(CELL.distributions), value=value)
        )
    source.add_trial(create_trial(params={"x": 1}, distributions=X, value=0.0))
    study = optuna.create_study()
    assert enqueue_best(study, source, 9, space=CELL) == [1, 2]


def test_number_out_of_range() -> None:
    with pytest.raises(ValueError, match="`n` to be at least 1 but got 0"):
        enqueue_best(optuna.create_study(), optuna.create_study(), 0)
