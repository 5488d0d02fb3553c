"""Controllers in studies: workers, objectives that ask as they go, stored probabilities."""

from __future__ import annotations

from collections.abc import Callable
import hashlib
import json
import math
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
from optuna.storages import BaseStorage
from optuna.storages import JournalStorage
from optuna.storages import RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import create_trial
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest

from optuna_nas import CellSpace
from optuna_nas.samplers import ActorCriticSampler
from optuna_nas.samplers import DDPGSampler
from optuna_nas.samplers import PPOSampler
from optuna_nas.samplers import ReinforceSampler
from optuna_nas.samplers.core._asked import CLAIM
from optuna_nas.samplers.policy import ControllerSampler
from optuna_nas.samplers.policy import MnasNetScalarization
from optuna_nas.samplers.policy import RankReward
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._policy import Walked
from optuna_nas.samplers.policy._replay import LOG_PROBS
from optuna_nas.samplers.policy._taken import TakenTree


CONTROLLERS: dict[str, Callable[..., ControllerSampler]] = {
    "reinforce": ReinforceSampler,
    "ppo": PPOSampler,
    "actor-critic": ActorCriticSampler,
    "ddpg": DDPGSampler,
}
CELL = CellSpace()


@pytest.fixture(params=list(CONTROLLERS))
def make(request: pytest.FixtureRequest) -> Callable[..., ControllerSampler]:
    return CONTROLLERS[request.param]


def count(trial: optuna.Trial) -> float:
    return sum(choice == "nor_conv_3x3" for choice in CELL.suggest(trial).values())


def digest(weights: dict[str, np.ndarray]) -> str:
    data = b"".join(name.encode() + value.tobytes() for name, value in weights.items())
    return hashlib.sha256(data).hexdigest()


# Parallel workers.


WORKER = """
import sys
import optuna
sys.path.insert(0, {folder!r})
import test_controllers_sampler as this

optuna.logging.set_verbosity(optuna.logging.CRITICAL)
storage = this.open_storage({path!r})
seed, n_trials = int(sys.argv[1]), int(sys.argv[2])
for name, make in this.CONTROLLERS.items():
    sampler = make(seed=seed, space=this.CELL, block_size=5)
    study = optuna.load_study(study_name=name, storage=storage, sampler=sampler)
    study.optimize(this.flaky, n_trials=n_trials, catch=(RuntimeError,))
    print(this.digest(sampler.weights(study)))
"""


def open_storage(path: str) -> BaseStorage:
    if path.endswith(".log"):
        return JournalStorage(JournalFileBackend(path))
    return RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})


def flaky(trial: optuna.Trial) -> float:
    value = count(trial)
    if trial.number % 7 == 3:
        raise RuntimeError
    if trial.number % 11 == 5:
        raise optuna.TrialPruned
    return math.nan if trial.number % 13 == 6 else value


def worker(path: Path, seed: int, n_trials: int, threads: int) -> subprocess.Popen[str]:
    code = WORKER.format(folder=str(Path(__file__).parent), path=str(path))
    return subprocess.Popen(
        [sys.executable, "-c", code, str(seed), str(n_trials)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)},
    )


def outputs(workers: list[subprocess.Popen[str]]) -> list[list[str]]:
    found = [process.communicate(timeout=300)[0] for process in workers]
    assert [process.returncode for process in workers] == [0] * len(workers)
    return [text.split() for text in found]


@pytest.mark.slow
@pytest.mark.parametrize("file", ["study.db", "study.log"])
def test_processes_share_one_policy(file: str, tmp_path: Path) -> None:
    path = tmp_path / file
    storage = open_storage(str(path))
    studies = [
        optuna.create_study(study_name=name, storage=storage, direction="maximize")
        for name in CONTROLLERS
    ]
    outputs([worker(path, seed, 8, 1) for seed in (1, 1, 2, 3)])
    for study in studies:
        assert len(study.trials) == 32
        assert {trial.state for trial in study.trials} == {
            TrialState.COMPLETE,
            TrialState.FAIL,
            TrialState.PRUNED,
        }
    # Fresh processes with other seeds and other numbers of threads.
    found = outputs([worker(path, 10 + n, 0, n) for n in (1, 2, 4)])
    here = [
        digest(make(seed=99, space=CELL, block_size=5).weights(study))
        for make, study in zip(CONTROLLERS.values(), studies, strict=True)
    ]
    assert found == [here] * 3


def test_threads_share_one_policy(make: Callable[..., ControllerSampler]) -> None:
    sampler = make(seed=0, space=CELL, block_size=5)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(flaky, n_trials=60, n_jobs=4, catch=(RuntimeError,))
    assert len(study.trials) == 60
    fresh = make(seed=1, space=CELL, block_size=5).weights(study)
    assert digest(fresh) == digest(sampler.weights(study))


# Objectives that ask as they go, without a space.


def chain(trial: optuna.Trial) -> float:
    """Good if all kernels are equal; how many there are is decided on the way."""
    kernels = [trial.suggest_categorical("kernel_0", [3, 5, 7])]
    while trial.suggest_categorical(f"more_{len(kernels)}", [True, False]) and len(kernels) < 4:
        kernels.append(trial.suggest_categorical(f"kernel_{len(kernels)}", [3, 5, 7]))
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    return len(kernels) - 2 * (len(set(kernels)) - 1) - abs(math.log10(rate) + 2) / 2


def test_it_learns_define_by_run(make: Callable[..., ControllerSampler]) -> None:
    gains = []
    for seed in range(5):
        study = optuna.create_study(direction="maximize", sampler=make(seed=seed))
        study.optimize(chain, n_trials=120)
        values = [trial.value for trial in study.trials if trial.value is not None]
        gains.append(np.mean(values[-30:]) - np.mean(values[:30]))
        assert not any(trial.system_attrs.get("fixed_params") for trial in study.trials)
    assert np.mean(gains) > 0.4


def test_nothing_repeats_define_by_run(make: Callable[..., ControllerSampler]) -> None:
    def objective(trial: optuna.Trial) -> float:
        value: int = trial.suggest_categorical("a", [1, 2, 3])
        value *= trial.suggest_int("b", 1, 5)
        return value + (trial.suggest_categorical("c", [0, 1]) if trial.params["a"] == 2 else 0)

    study = optuna.create_study(direction="maximize", sampler=make(seed=0, block_size=4))
    study.optimize(objective, n_trials=22)
    params = [tuple(trial.params.items()) for trial in study.trials]
    assert len(set(params[:20])) == 20  # All there are.


def test_enqueued_values_are_walked_along(make: Callable[..., ControllerSampler]) -> None:
    study = optuna.create_study(direction="maximize", sampler=make(seed=0))
    study.enqueue_trial({"more_1": True, "kernel_1": 7, "rate": 0.1})
    study.optimize(chain, n_trials=1)
    params = study.trials[0].params
    assert (params["more_1"], params["kernel_1"], params["rate"]) == (True, 7, 0.1)


def tree_of(trials: list[FrozenTrial]) -> TakenTree:
    tree = TakenTree(walked)
    tree.update(trials, current=99)
    return tree


def walked(trial: FrozenTrial) -> Walked:
    decisions = [Decision(name, dist) for name, dist in trial.distributions.items()]
    return [(decision, decision.position(trial.params[decision.name])) for decision in decisions]


def test_tree_of_what_is_taken() -> None:
    a, b = CategoricalDistribution([0, 1, 2]), IntDistribution(0, 1)

    def trial(number: int, params: dict[str, int], state: TrialState) -> FrozenTrial:
        made = create_trial(
            params=params,
            distributions={k: {"a": a, "b": b}[k] for k in params},
            value=0.0,
            system_attrs={CLAIM: ""},  # As every trial that asked a sampler of ours.
        )
        made.number, made.state = number, state
        return made

    done, running, failed = TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL
    first = [trial(0, {"a": 0}, done), trial(1, {"a": 1, "b": 0}, done)]
    ask_a, ask_b = Decision("a", a), Decision("b", b)
    at_one = [(ask_a, 1.0)]
    assert tree_of([]).allowed([], ask_a) is None
    tree = tree_of(first)
    np.testing.assert_array_equal(tree.allowed([], ask_a), [False, True, True])
    np.testing.assert_array_equal(tree.allowed(at_one, ask_b), [False, True])
    assert tree.allowed([(ask_a, 2.0)], ask_b) is None
    # What runs is taken where trials end; where they may go on, nobody knows.
    both = [*first, trial(2, {"a": 1, "b": 1}, running), trial(3, {"a": 2}, running)]
    tree = tree_of(both)
    assert tree.allowed(at_one, ask_b) is None  # Nothing is left: anything may be drawn.
    np.testing.assert_array_equal(tree.allowed([], ask_a), [False, True, False])
    both[2] = trial(2, {"a": 1, "b": 1}, done)
    both[3] = trial(3, {"a": 2}, failed)
    tree.update(both, current=99)
    np.testing.assert_array_equal(tree.allowed([], ask_a), [False, False, True])


# Stored log-probabilities.


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


# Rewards.


def test_a_reward_of_several_objectives_is_pursued(make: Callable[..., ControllerSampler]) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        choices = list(CELL.suggest(trial).values())
        return choices.count("nor_conv_3x3") / 6, 1.0 + choices.count("avg_pool_3x3")

    reward = RankReward(MnasNetScalarization(target=1.0, exponent=-0.5))
    gains = []
    for seed in range(5):
        sampler = make(seed=seed, space=CELL, reward=reward, block_size=5)
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        study.optimize(objective, n_trials=90)
        values = np.array([trial.values for trial in study.trials])
        scores = values[:, 0] * values[:, 1] ** -0.5
        gains.append(scores[-30:].mean() - scores[:20].mean())
    assert np.mean(gains) > 0.1


# Arguments and loading.


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"block_size": 0}, "`block_size` to be at least 1 but got 0"),
        ({"patience": 0}, "`patience` to be at least 1 but got 0"),
        ({"n_candidates": 0}, "`n_candidates` to be at least 1 but got 0"),
        ({"hidden_size": 0}, "`hidden_size` to be at least 1 but got 0"),
        ({"policy_seed": -1}, "`policy_seed` to be at least 0 but got -1"),
    ],
)
def test_wrong_arguments(
    make: Callable[..., ControllerSampler], kwargs: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make(**kwargs)


@pytest.mark.parametrize(
    ("make_one", "kwargs", "sentence"),
    [
        (ReinforceSampler, {"learning_rate": 0.0}, "`learning_rate` to be above 0 but got 0.0"),
        (ReinforceSampler, {"entropy_weight": -1}, "`entropy_weight` to be at least 0 but got -1"),
        (ReinforceSampler, {"baseline_decay": 1}, r"`baseline_decay` to be in \[0, 1\) but got 1"),
        (PPOSampler, {"clip": 1.0}, r"`clip` to be in \(0, 1\) but got 1.0"),
        (PPOSampler, {"n_epochs": 0}, "`n_epochs` to be at least 1 but got 0"),
        (ActorCriticSampler, {"lambda_": 2}, r"`lambda_` to be in \[0, 1\] but got 2"),
        (ActorCriticSampler, {"value_weight": -1}, "`value_weight` to be at least 0 but got -1"),
        (DDPGSampler, {"tau": 0}, r"`tau` to be in \(0, 1\] but got 0"),
        (DDPGSampler, {"noise": 0}, "`noise` to be above 0 but got 0"),
        (DDPGSampler, {"buffer_size": 0}, "`buffer_size` to be at least 1 but got 0"),
    ],
)
def test_wrong_arguments_of_one(
    make_one: Callable[..., ControllerSampler], kwargs: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_one(**kwargs)


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_torch_is_loaded_on_first_use_only() -> None:
    code = (
        "import sys, optuna_nas, optuna_nas.samplers as samplers\n"
        "before = 'torch' in sys.modules\n"
        "samplers.PPOSampler\n"
        "print(before, 'torch' in sys.modules)"
    )
    assert python(code) == "False True"


def test_missing_torch_is_one_clear_sentence() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "import optuna_nas.samplers\n"
        "try:\n"
        "    from optuna_nas.samplers import PPOSampler\n"
        "except ImportError as error:\n"
        "    print(error)"
    )
    found = python(code)
    assert "need PyTorch: install it with `pip install torch`" in found
    assert len(found.splitlines()) == 1
