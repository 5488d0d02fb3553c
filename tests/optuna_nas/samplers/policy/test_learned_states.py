"""How blocks become weights, and that weights depend on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.trial import create_trial
from optuna.trial import TrialState
import pytest
import torch

from optuna_nas.samplers.policy import ControllerSampler
from optuna_nas.samplers.policy import ControllerSettings
from tests.optuna_nas.samplers.policy.controllers import BLOCKS_OF_5
from tests.optuna_nas.samplers.policy.controllers import CELL
from tests.optuna_nas.samplers.policy.controllers import CONTROLLERS
from tests.optuna_nas.samplers.policy.controllers import count
from tests.optuna_nas.samplers.policy.controllers import equal
from tests.optuna_nas.samplers.policy.controllers import started


def test_learning_while_searching_equals_learning_afterwards(
    make: Callable[..., ControllerSampler],
) -> None:
    sampler = make(seed=0, space=CELL)
    study = started(sampler, 45)
    learned = sampler.weights(study)
    for seed in (1, 2):
        assert equal(make(seed=seed, space=CELL).weights(study), learned)
    assert not equal(
        make(seed=0, space=CELL, settings=ControllerSettings(policy_seed=1)).weights(study),
        learned,
    )
    assert all(np.array_equal(v, v.astype(np.float32)) for v in learned.values())


def test_new_trials_are_learned_once(
    make: Callable[..., ControllerSampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = make(seed=0, space=CELL, settings=BLOCKS_OF_5)
    study = started(sampler, 20)
    n_updates = 0
    agent_type = type(sampler._agent)
    original = agent_type.update

    def counted(self: Any, state: Any, blocks: Any) -> Any:
        nonlocal n_updates
        n_updates += 1
        return original(self, state, blocks)

    monkeypatch.setattr(agent_type, "update", counted)
    study.optimize(count, n_trials=20)
    assert n_updates == 4


def test_unsuitable_trials_alone_teach_nothing(make: Callable[..., ControllerSampler]) -> None:
    study = optuna.create_study()
    study.add_trials([create_trial(state=TrialState.FAIL) for _ in range(25)])
    sampler = make(space=CELL)
    assert equal(sampler.weights(study), sampler.weights(optuna.create_study()))


def test_settings_of_torch_do_not_matter_and_are_left_alone(
    make: Callable[..., ControllerSampler],
) -> None:
    study = started(make(seed=0, space=CELL))
    expected = make(seed=0, space=CELL).weights(study)
    torch.manual_seed(123)
    before = torch.random.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled()
    np_state = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    with torch.inference_mode(), torch.device("meta"):
        torch.set_default_dtype(torch.float16)
        try:
            found = make(seed=0, space=CELL).weights(study)
            started(make(seed=1, space=CELL), 25)
            started(make(seed=1), 25)
        finally:
            torch.set_default_dtype(torch.float32)
    assert equal(found, expected)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == before[1:]
    assert (np.random.get_state()[1] == np_state).all()  # type: ignore[index]  # noqa: NPY002


def test_decisions_may_appear_later(make: Callable[..., ControllerSampler]) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = count(trial)
        if trial.number >= 12:
            value += trial.suggest_float("rate", 0, 1)
        return value + (trial.suggest_int("late", 0, 5) if trial.number >= 24 else 0)

    sampler = make(seed=0, space=CELL, settings=BLOCKS_OF_5)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=45)
    assert equal(
        make(seed=3, space=CELL, settings=BLOCKS_OF_5).weights(study), sampler.weights(study)
    )


def mean_of_first(sampler: ControllerSampler, n: int = 8) -> float:
    return float(np.mean([trial.value for trial in started(sampler, n).trials]))


@pytest.mark.parametrize(
    ("name", "gain"), [("reinforce", 1), ("ppo", 1), ("actor-critic", 1), ("ddpg", 0.3)]
)
def test_pretraining_starts_where_another_study_ended(name: str, gain: float) -> None:
    make = CONTROLLERS[name]
    source = started(make(seed=0, space=CELL), 120)
    source.ask()  # An unfinished trial there does no harm.
    cold, warm = [], []
    for seed in range(6):
        cold.append(mean_of_first(make(seed=seed, space=CELL)))
        sampler = make(seed=seed, space=CELL)
        sampler.pretrain(source)
        warm.append(mean_of_first(sampler))
    assert np.mean(warm) > np.mean(cold) + gain


def test_pretrained_weights_are_another_start(make: Callable[..., ControllerSampler]) -> None:
    source, study = started(make(seed=0, space=CELL)), started(make(seed=1, space=CELL), 30)
    plain, first, second = (make(seed=seed, space=CELL) for seed in range(3))
    before = first.weights(study)
    for sampler in (first, second):
        sampler.pretrain(source)
    assert equal(first.weights(study), second.weights(study))
    assert not equal(first.weights(study), plain.weights(study))
    assert equal(before, plain.weights(study))
