"""Trials with fewer or other parameters than a proposal, and what they take."""

from __future__ import annotations

from collections.abc import Callable
import itertools

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import create_trial
import pytest

from optuna_nas import CellSpace
from optuna_nas import CustomSpace
from optuna_nas.samplers import ArchitectureSampler
from tests.optuna_nas.samplers.sampler_table import CONTROLLERS
from tests.optuna_nas.samplers.sampler_table import SAMPLERS


CELL = CellSpace()
A, B = IntDistribution(0, 2), IntDistribution(0, 3)
ALL_PAIRS = set(itertools.product(range(3), range(4)))


def pair(trial: optuna.Trial) -> float:
    return trial.suggest_int("a", 0, 2) + trial.suggest_int("b", 0, 3)


def pairs_of(study: optuna.Study) -> list[tuple[int, int]]:
    return [(t.params["a"], t.params["b"]) for t in study.trials if len(t.params) == 2]


def test_trials_with_fewer_parameters_take_nothing(
    make: Callable[..., ArchitectureSampler],
) -> None:
    study = optuna.create_study(sampler=make(seed=0))
    study.add_trial(create_trial(value=0.5))  # A constant baseline.
    for a in (0, 1):
        study.add_trial(create_trial(params={"a": a}, distributions={"a": A}, value=0.0))
    # The first one starts before all names are known.
    study.optimize(pair, n_trials=13)
    assert set(pairs_of(study)) == ALL_PAIRS


def test_an_objective_that_asks_for_more_than_before_gets_it(
    make: Callable[..., ArchitectureSampler],
) -> None:
    study = optuna.create_study(sampler=make(seed=0))
    study.optimize(lambda trial: trial.suggest_int("a", 0, 2), n_trials=3)
    study.optimize(pair, n_trials=13)
    assert len(set(pairs_of(study))) >= 11


def test_a_baseline_that_was_told_takes_nothing(make: Callable[..., ArchitectureSampler]) -> None:
    study = optuna.create_study(sampler=make(seed=0))
    study.optimize(pair, n_trials=2)
    study.tell(study.ask(), 0.5)
    study.optimize(pair, n_trials=10)
    assert len(set(pairs_of(study))) == 12


def cell_with(
    params: dict[str, object], seed: int = 0, value: float = 1.0
) -> optuna.trial.FrozenTrial:
    known = {"note": FloatDistribution(0, 1), "rate": FloatDistribution(0, 1)}
    return create_trial(
        params={**CELL.sample(np.random.default_rng(seed)), **params},
        distributions={**CELL.distributions, **{name: known[name] for name in params}},
        value=value,
    )


def test_a_foreign_parameter_does_not_switch_off_duplicates(
    make: Callable[..., ArchitectureSampler],
) -> None:
    space = CellSpace(n_nodes=3)
    n_keys = len({space.canonical_key(space.architecture_at(i)) for i in range(space.size)})
    study = optuna.create_study(direction="maximize", sampler=make(seed=0, space=space))
    study.add_trial(
        create_trial(
            params={**space.architecture_at(0), "note": 0.5},
            distributions={**space.distributions, "note": FloatDistribution(0, 1)},
            value=1.0,
        )
    )
    study.enqueue_trial({**space.architecture_at(space.size - 1), "other": 3})
    study.optimize(lambda trial: len(space.to_string(space.suggest(trial))), n_trials=n_keys - 1)
    keys = [space.canonical_key(space.architecture(trial.params)) for trial in study.trials]
    assert len(set(keys)) == n_keys
    assert all("note" not in trial.params for trial in study.trials[1:])


def test_a_parameter_of_added_trials_is_proposed_if_the_objective_asks_for_it(
    make: Callable[..., ArchitectureSampler],
) -> None:
    study = optuna.create_study(sampler=make(seed=0, space=CELL))
    study.add_trials([cell_with({"rate": 0.3}, seed) for seed in range(12)])
    proposed = []
    for _ in range(4):
        trial = study.ask()
        CELL.suggest(trial)
        trial.suggest_float("rate", 0, 1)
        proposed.append("rate" in (trial.relative_params or {}))
        study.tell(trial, 1.0)
    assert all(proposed)


def test_a_baseline_without_the_further_parameter_takes_no_architecture(
    make: Callable[..., ArchitectureSampler],
) -> None:
    space = CustomSpace({"a": A})
    study = optuna.create_study(sampler=make(seed=0, space=space))
    for a in range(3):
        study.add_trial(create_trial(params={"a": a}, distributions={"a": A}, value=0.0))
    study.optimize(pair, n_trials=12)
    assert len(set(pairs_of(study))) >= 11  # The first starts before both names are known.


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in CONTROLLERS])
def test_waiting_trials_with_fewer_parameters_take_nothing(name: str) -> None:
    study = optuna.create_study(sampler=SAMPLERS[name](seed=0))
    study.optimize(pair, n_trials=2)
    trials = [study.ask() for _ in range(10)]
    for a in range(3):
        study.enqueue_trial({"a": a})
    for trial in trials:
        pair(trial)
        study.tell(trial, 0.0)
    assert len(set(pairs_of(study))) == 12
