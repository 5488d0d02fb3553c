"""The callback that stops a study when its space has nothing more to try."""

from __future__ import annotations

import logging

import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.trial import create_trial
from optuna.trial import TrialState
import pytest

from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas import StopWhenExhausted


CELL = CellSpace(n_nodes=3)
N_KEYS = len({CELL.canonical_key(CELL.architecture_at(i)) for i in range(CELL.size)})


def length(trial: optuna.Trial) -> float:
    return len(CELL.to_string(CELL.suggest(trial)))


@pytest.mark.parametrize("n_jobs", [1, 4])
def test_the_study_stops_when_every_key_is_evaluated(
    n_jobs: int, caplog: pytest.LogCaptureFixture
) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.WARNING, logger="optuna_nas"):
            study.optimize(length, 5000, n_jobs=n_jobs, callbacks=[StopWhenExhausted(CELL)])
    finally:
        optuna.logging.disable_propagation()
    keys = [CELL.canonical_key(CELL.architecture(trial.params)) for trial in study.trials]
    assert len(set(keys)) == N_KEYS < CELL.size
    if n_jobs == 1:
        assert keys.count(keys[-1]) == 1  # It ends with the last new one.
    assert len(keys) < 5000
    assert f"All {N_KEYS} different architectures of the space cell were evaluated." in caplog.text


def test_only_evaluated_architectures_of_the_space_count() -> None:
    space = CustomSpace({"a": IntDistribution(0, 2)})
    study = optuna.create_study()
    stop = StopWhenExhausted(space)

    def add(state: TrialState, **params: int) -> None:
        study.add_trial(
            create_trial(
                state=state,
                value=0.0 if state == TrialState.COMPLETE else None,
                params=params,
                distributions={name: IntDistribution(0, 9) for name in params},
            )
        )

    add(TrialState.COMPLETE, a=0)
    add(TrialState.PRUNED, a=1)
    for params in ({"a": 3}, {"b": 2}, {"a": 1}):
        add(TrialState.COMPLETE, **params)
    add(TrialState.FAIL, a=2)
    study.enqueue_trial({"a": 2})
    assert not stop.is_exhausted(study)
    add(TrialState.COMPLETE, a=2, b=7)
    assert stop.is_exhausted(study)
    assert not stop.is_exhausted(optuna.create_study())


def test_each_architecture_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    original = CELL.architecture_at

    def architecture_at(index: int) -> Architecture:
        looked_at.append(index)
        return original(index)

    monkeypatch.setattr(CELL, "architecture_at", architecture_at)
    stop = StopWhenExhausted(CELL)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(length, 300, callbacks=[stop])
    assert len(looked_at) <= CELL.size + len(study.trials)


def test_a_space_of_10_to_the_18_architectures_is_not_counted_through() -> None:
    space = ChainSpace(max_depth=17)
    study = optuna.create_study()
    rng = np.random.default_rng(0)
    for _ in range(20):
        params = dict(space.sample(rng))
        known = {name: space.distributions[name] for name in params}
        study.add_trial(create_trial(params=params, distributions=known, value=0.0))
    assert not StopWhenExhausted(space).is_exhausted(study)
