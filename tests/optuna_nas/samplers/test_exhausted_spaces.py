"""Small spaces of which nothing is left: said once, and not looked for again."""

from __future__ import annotations

from collections.abc import Callable
import itertools
from typing import Any
import warnings

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import TrialState
import pytest

from optuna_nas import CustomSpace
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers import RandomArchitectureSampler
from optuna_nas.samplers.core._history import History
from tests.optuna_nas.samplers.sampler_table import CONTROLLERS
from tests.optuna_nas.samplers.sampler_table import SAMPLERS


SMALL = CustomSpace(
    {"a": CategoricalDistribution(("x", "y", "z")), "b": IntDistribution(1, 200)},
    active_if={"b": lambda params: params["a"] == "x"},
)
SENTENCE = "All that .* can propose is evaluated or is being evaluated, .*`StopWhenExhausted`"


def small(trial: optuna.Trial) -> float:
    return float(SMALL.suggest(trial).get("b", 0))


def keys_of(study: optuna.Study) -> list[str]:
    return [SMALL.canonical_key(SMALL.architecture(trial.params)) for trial in study.trials]


def test_an_exhausted_space_is_said_once_and_not_scanned_again(
    make: Callable[..., ArchitectureSampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(sampler=make(seed=0, space=SMALL))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.optimize(small, n_trials=SMALL.size)
    assert len(set(keys_of(study))) == SMALL.size == 202
    asked = []
    original = History.is_taken

    def is_taken(self: History, *args: Any) -> bool:
        asked.append(args)
        return original(self, *args)

    monkeypatch.setattr(History, "is_taken", is_taken)
    with pytest.warns(UserWarning, match=SENTENCE) as caught:
        study.optimize(small, n_trials=1)
    n_asked = len(asked)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.optimize(small, n_trials=20)
    assert len(caught) == 1
    assert n_asked > SMALL.size
    # Local search asks for the neighbours of its centre, the controllers for their candidates.
    assert len(asked) - n_asked < 20 * SMALL.size * 1.2
    if isinstance(study.sampler, RandomArchitectureSampler):
        assert len(asked) - n_asked == 20
    assert len(study.trials) == SMALL.size + 21


@pytest.mark.parametrize("name", ["genetic", "random-architecture", "reinforce"])
def test_a_failed_trial_opens_an_exhausted_space(name: str) -> None:
    space = CustomSpace({"a": IntDistribution(0, 3)})
    study = optuna.create_study(sampler=SAMPLERS[name](seed=0, space=space))
    running = [study.ask(dict(space.distributions)) for _ in range(4)]
    with pytest.warns(UserWarning, match=SENTENCE):
        repeated = study.ask(dict(space.distributions))
    study.tell(repeated, 0.0)
    other = next(trial for trial in running if trial.params != repeated.params)
    study.tell(other, state=TrialState.FAIL)
    assert study.ask(dict(space.distributions)).params == other.params
    for trial in running:
        study.tell(trial, 0.0, skip_if_finished=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # It was said.
        study.ask(dict(space.distributions))


def test_another_study_is_told_as_well(make: Callable[..., ArchitectureSampler]) -> None:
    space = CustomSpace({"a": IntDistribution(0, 1)})
    sampler = make(seed=0, space=space)
    for _ in range(2):
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda trial: space.suggest(trial)["a"], n_trials=2)
        with pytest.warns(UserWarning, match=SENTENCE):
            study.optimize(lambda trial: space.suggest(trial)["a"], n_trials=1)


def test_architectures_with_further_choices_are_exhausted_together(
    make: Callable[..., ArchitectureSampler],
) -> None:
    space = CustomSpace({"a": IntDistribution(0, 2)})

    def objective(trial: optuna.Trial) -> float:
        return space.suggest(trial)["a"] + trial.suggest_int("b", 0, 4)

    study = optuna.create_study(sampler=make(seed=0, space=space))
    study.optimize(objective, n_trials=15)
    pairs = {(trial.params["a"], trial.params["b"]) for trial in study.trials}
    assert pairs == set(itertools.product(range(3), range(5)))
    with pytest.warns(UserWarning, match=SENTENCE):
        study.optimize(objective, n_trials=1)


def test_a_continuous_parameter_is_never_exhausted(
    make: Callable[..., ArchitectureSampler],
) -> None:
    space = CustomSpace({"a": IntDistribution(0, 1)})
    rate = {"rate": FloatDistribution(0, 1)}
    study = optuna.create_study(sampler=make(seed=0, space=space))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(12):
            study.tell(study.ask({**space.distributions, **rate}), 0.0)
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 12


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in CONTROLLERS])
def test_without_a_space_the_last_choice_is_found_too(name: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        return trial.suggest_int("a", 0, 29) + trial.suggest_int("b", 0, 4)

    study = optuna.create_study(sampler=SAMPLERS[name](seed=0))
    study.optimize(objective, n_trials=150)
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 150
    with pytest.warns(UserWarning, match=SENTENCE):
        study.optimize(objective, n_trials=1)
