"""PPO: stored log-probabilities and importance weights."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import optuna
from optuna.trial import create_trial
import pytest

from optuna_nas.samplers import ActorCriticSampler
from optuna_nas.samplers import DDPGSampler
from optuna_nas.samplers import PPOSampler
from optuna_nas.samplers import ReinforceSampler
from optuna_nas.samplers.policy._replay import LOG_PROBS
from tests.optuna_nas.samplers.policy.controllers import CELL
from tests.optuna_nas.samplers.policy.controllers import chain
from tests.optuna_nas.samplers.policy.controllers import count
from tests.optuna_nas.samplers.policy.controllers import digest


def test_probabilities_of_proposals_are_stored() -> None:
    study = optuna.create_study(direction="maximize", sampler=PPOSampler(seed=0, space=CELL))
    study.optimize(count, n_trials=25)
    for trial in study.trials:
        log_probs = trial.system_attrs[LOG_PROBS]
        assert list(log_probs) == list(CELL.distributions)
        assert all(value < 0 for value in log_probs.values())
    first = study.trials[0].system_attrs[LOG_PROBS].values()
    np.testing.assert_allclose(list(first), math.log(1 / 5), atol=0.3)
    json.dumps(study.trials[0].system_attrs)


def test_probabilities_are_stored_define_by_run() -> None:
    study = optuna.create_study(direction="maximize", sampler=PPOSampler(seed=0))
    study.optimize(chain, n_trials=15)
    for trial in study.trials:
        assert list(trial.system_attrs[LOG_PROBS]) == list(trial.params)


def test_only_ppo_stores_probabilities() -> None:
    for make in (ReinforceSampler, ActorCriticSampler, DDPGSampler):
        study = optuna.create_study(direction="maximize", sampler=make(seed=0, space=CELL))
        study.optimize(count, n_trials=3)
        assert not any(LOG_PROBS in trial.system_attrs for trial in study.trials)


def test_importance_weights_change_what_is_learned() -> None:
    def weights(log_prob: float | None) -> str:
        study = optuna.create_study(direction="maximize")
        stored = {LOG_PROBS: dict.fromkeys(CELL.distributions, log_prob)}
        rng = np.random.default_rng(0)
        for i in range(10):
            study.add_trial(
                create_trial(
                    params=dict(CELL.sample(rng)),
                    distributions=dict(CELL.distributions),
                    value=float(i),
                    system_attrs=stored if log_prob is not None else None,
                )
            )
        return digest(PPOSampler(space=CELL).weights(study))

    assert len({weights(value) for value in (None, -0.1, -3.0)}) == 3


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"clip": 1.0}, r"`clip` to be in \(0, 1\) but got 1.0"),
        ({"n_epochs": 0}, "`n_epochs` to be at least 1 but got 0"),
        ({"learning_rate": -0.1}, "`learning_rate` to be above 0 but got -0.1"),
        ({"hidden_size": 0}, "`hidden_size` to be at least 1 but got 0"),
    ],
)
def test_wrong_arguments_of_ppo(kwargs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        PPOSampler(**kwargs)
