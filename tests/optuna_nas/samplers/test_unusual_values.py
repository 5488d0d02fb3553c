"""Values that Optuna takes and that are easy to trip over: steps, lists, and out of range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
import warnings

import optuna
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.trial import TrialState
import pytest

from optuna_nas import CustomSpace


SPACE = CustomSpace({"x": IntDistribution(1, 9), "z": FloatDistribution(0, 1, step=0.1)})


def test_floats_with_a_step_are_proposed_on_the_grid(make: Callable[..., BaseSampler]) -> None:
    study = optuna.create_study(sampler=make(seed=0))
    study.optimize(lambda t: t.suggest_float("z", 0, 3, step=0.1), n_trials=40)
    grid = {round(0.1 * k, 9) for k in range(31)}
    assert {t.params["z"] for t in study.trials} <= grid


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution should be")
@pytest.mark.parametrize("with_space", [False, True])
def test_lists_as_choices(make: Callable[..., BaseSampler], with_space: bool) -> None:
    choices: list[Any] = [[1], [1, 2], {"a": [3]}, "[1]"]

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_int("x", 1, 9)
        z = trial.suggest_float("z", 0, 1, step=0.1)
        return x + z + len(trial.suggest_categorical("c", choices))

    study = optuna.create_study(sampler=make(seed=0, space=SPACE if with_space else None))
    study.enqueue_trial({"c": [1, 2]})
    study.optimize(objective, n_trials=40)
    assert study.trials[0].params["c"] == [1, 2]
    params = [t.params for t in study.trials]
    assert all(one["c"] in choices for one in params)
    assert len({repr(sorted(one.items())) for one in params}) >= 39


def suggest(trial: optuna.Trial) -> float:
    x, z = trial.suggest_int("x", 1, 9), trial.suggest_float("z", 0, 1, step=0.1)
    return x + z + len(trial.suggest_categorical("c", ["a", "bb"]))


@pytest.mark.parametrize("with_space", [False, True])
@pytest.mark.parametrize("fixed", [{"x": 99}, {"z": 3.0}, {"z": 0.15}, {"c": "d"}])
def test_enqueued_value_out_of_range(
    make: Callable[..., BaseSampler], fixed: dict[str, Any], with_space: bool
) -> None:
    def run(sampler: BaseSampler) -> optuna.Study:
        study = optuna.create_study(sampler=sampler)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Fixed parameter .* is out of range")
            for _ in range(2):  # One before any name is known, one in a running study.
                study.enqueue_trial(fixed)
                study.optimize(suggest, n_trials=12, catch=(ValueError,))
        return study

    study = run(make(seed=0, space=SPACE if with_space else None))
    expected = run(RandomSampler(seed=0))
    assert [t.state for t in study.trials] == [t.state for t in expected.trials]
    for number in (0, 12):
        assert study.trials[number].params.keys() == expected.trials[number].params.keys()
        assert fixed.items() <= study.trials[number].params.items() or "c" in fixed
    for trial in (*study.trials[1:12], *study.trials[13:]):
        assert trial.state == TrialState.COMPLETE
        assert 1 <= trial.params["x"] <= 9
        assert 0 <= trial.params["z"] <= 1
