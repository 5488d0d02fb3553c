"""Controllers in studies: workers, and objectives that ask as they go."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import optuna
from optuna.trial import TrialState
import pytest

from optuna_nas.samplers.policy import ControllerSampler
from optuna_nas.samplers.policy import ControllerSettings
from optuna_nas.samplers.policy import MnasNetScalarization
from optuna_nas.samplers.policy import RankReward
from optuna_nas.samplers.policy._replay import SKIPPED
from tests.optuna_nas.samplers.policy.controllers import BLOCKS_OF_5
from tests.optuna_nas.samplers.policy.controllers import CELL
from tests.optuna_nas.samplers.policy.controllers import chain
from tests.optuna_nas.samplers.policy.controllers import CONTROLLERS
from tests.optuna_nas.samplers.policy.controllers import count
from tests.optuna_nas.samplers.policy.controllers import digest
from tests.optuna_nas.samplers.policy.controllers import equal
from tests.optuna_nas.samplers.policy.controllers import flaky
from tests.optuna_nas.samplers.policy.controllers import open_storage


WORKER = """
import sys
import optuna
sys.path.insert(0, {folder!r})
from tests.optuna_nas.samplers.policy import controllers as this

optuna.logging.set_verbosity(optuna.logging.CRITICAL)
storage = this.open_storage({path!r})
seed, n_trials = int(sys.argv[1]), int(sys.argv[2])
for name, make in this.CONTROLLERS.items():
    sampler = make(seed=seed, space=this.CELL, settings=this.BLOCKS_OF_5)
    study = optuna.load_study(study_name=name, storage=storage, sampler=sampler)
    study.optimize(this.flaky, n_trials=n_trials, catch=(RuntimeError,))
    print(this.digest(sampler.weights(study)))
"""


def worker(path: Path, seed: int, n_trials: int, threads: int) -> subprocess.Popen[str]:
    code = WORKER.format(folder=str(Path(__file__).parents[4]), path=str(path))
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
        digest(make(seed=99, space=CELL, settings=BLOCKS_OF_5).weights(study))
        for make, study in zip(CONTROLLERS.values(), studies, strict=True)
    ]
    assert found == [here] * 3


def test_threads_share_one_policy(make: Callable[..., ControllerSampler]) -> None:
    sampler = make(seed=0, space=CELL, settings=BLOCKS_OF_5)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(flaky, n_trials=60, n_jobs=4, catch=(RuntimeError,))
    assert len(study.trials) == 60
    fresh = make(seed=1, space=CELL, settings=BLOCKS_OF_5).weights(study)
    assert digest(fresh) == digest(sampler.weights(study))


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

    study = optuna.create_study(
        direction="maximize", sampler=make(seed=0, settings=ControllerSettings(block_size=4))
    )
    study.optimize(objective, n_trials=22)
    params = [tuple(trial.params.items()) for trial in study.trials]
    assert len(set(params[:20])) == 20  # All there are.


def test_enqueued_values_are_walked_along(make: Callable[..., ControllerSampler]) -> None:
    study = optuna.create_study(direction="maximize", sampler=make(seed=0))
    study.enqueue_trial({"more_1": True, "kernel_1": 7, "rate": 0.1})
    study.optimize(chain, n_trials=1)
    params = study.trials[0].params
    assert (params["more_1"], params["kernel_1"], params["rate"]) == (True, 7, 0.1)


def test_a_reward_of_several_objectives_is_pursued(make: Callable[..., ControllerSampler]) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        choices = list(CELL.suggest(trial).values())
        return choices.count("nor_conv_3x3") / 6, 1.0 + choices.count("avg_pool_3x3")

    reward = RankReward(MnasNetScalarization(target=1.0, exponent=-0.5))
    gains = []
    for seed in range(5):
        sampler = make(
            seed=seed, space=CELL, settings=ControllerSettings(reward=reward, block_size=5)
        )
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        study.optimize(objective, n_trials=90)
        values = np.array([trial.values for trial in study.trials])
        scores = values[:, 0] * values[:, 1] ** -0.5
        gains.append(scores[-30:].mean() - scores[:20].mean())
    assert np.mean(gains) > 0.1


PATIENT = ControllerSettings(block_size=5, patience=12)


def test_a_trial_that_never_finishes_does_not_stall_learning(
    make: Callable[..., ControllerSampler],
) -> None:
    sampler = make(seed=0, space=CELL, settings=PATIENT)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    hanging = study.ask(dict(CELL.distributions))
    study.optimize(count, n_trials=11)
    assert SKIPPED not in study.trials[0].system_attrs
    before = sampler.weights(study)
    study.optimize(count, n_trials=3)
    assert study.trials[0].system_attrs[SKIPPED] is True
    after = sampler.weights(study)
    assert not equal(before, after)
    # It finishes after all, and nobody learns from it: neither old nor new processes.
    study.tell(hanging, 100.0)
    assert equal(sampler.weights(study), after)
    assert equal(make(seed=5, space=CELL, settings=PATIENT).weights(study), after)


def test_a_late_trial_is_learned_if_it_finishes_before_it_is_skipped(
    make: Callable[..., ControllerSampler],
) -> None:
    sampler = make(seed=0, space=CELL, settings=PATIENT)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    late = study.ask(dict(CELL.distributions))
    study.optimize(count, n_trials=11)
    study.tell(late, 6.0)
    study.optimize(count, n_trials=20)
    assert SKIPPED not in study.trials[0].system_attrs
    assert equal(
        make(seed=5, space=CELL, settings=BLOCKS_OF_5).weights(study), sampler.weights(study)
    )
