"""Trials that a killed process left RUNNING."""

from __future__ import annotations

from collections.abc import Mapping
import os
import subprocess
import sys
from typing import Any

import optuna
from optuna.distributions import IntDistribution
from optuna.trial import TrialState
import pytest

from optuna_nas.objective import FAIL_REASON
from optuna_nas.studies import recovery
from optuna_nas.studies.recovery import WORKER


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study()


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_GRACE_SECONDS", 0.01)


def start(study: optuna.Study, worker: Mapping[str, Any] | None, x: int | None = None) -> int:
    """Start a trial that ``worker`` runs, and return its number."""
    if x is not None:
        study.enqueue_trial({"x": x})
    trial = study.ask()
    trial.suggest_int("x", 0, 10)
    if worker is not None:
        trial.set_user_attr(WORKER, dict(worker))
    return trial.number


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def dead_process() -> dict[str, Any]:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {**recovery.this_process(), "pid": process.pid}


def test_trial_of_a_live_process_is_left_alone(study: optuna.Study) -> None:
    start(study, recovery.this_process())
    assert recovery.fail_abandoned_trials(study) == []
    assert states(study) == ["RUNNING"]


def test_trial_of_a_dead_process_fails_and_is_repeated(study: optuna.Study) -> None:
    start(study, dead_process(), x=7)
    (abandoned,) = recovery.fail_abandoned_trials(study)
    assert abandoned.number == 0
    assert recovery.repeat(study, abandoned)
    assert states(study) == ["FAIL", "WAITING"]
    assert study.trials[0].user_attrs[FAIL_REASON] == "the process that ran the trial was killed"
    assert study.trials[0].user_attrs[WORKER]
    assert study.trials[1].user_attrs == {}
    again = study.ask()
    assert again.number == 1
    assert again.suggest_int("x", 0, 10) == 7


def test_process_that_is_no_more_than_a_zombie_is_dead(study: optuna.Study) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    worker = {**recovery.this_process(), "pid": process.pid}
    worker["start"] = recovery._start_of(process.pid)
    start(study, worker)
    assert recovery.fail_abandoned_trials(study) == []
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # It stays a zombie.
    assert len(recovery.fail_abandoned_trials(study)) == 1
    process.communicate()


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_reused_number_is_another_process(study: optuna.Study) -> None:
    start(study, {**recovery.this_process(), "start": "1"})
    assert len(recovery.fail_abandoned_trials(study)) == 1
    assert states(study) == ["FAIL"]


def test_trial_of_another_host_is_left_alone(study: optuna.Study) -> None:
    start(study, {**dead_process(), "host": "elsewhere"})
    assert recovery.fail_abandoned_trials(study) == []
    assert states(study) == ["RUNNING"]


def test_trial_without_worker_fails_and_without_parameters_is_not_repeated(
    study: optuna.Study,
) -> None:
    study.ask()
    start(study, None)
    abandoned = recovery.fail_abandoned_trials(study)
    assert [recovery.repeat(study, trial) for trial in abandoned] == [False, True]
    assert states(study) == ["FAIL", "FAIL", "WAITING"]


def test_trial_that_says_who_runs_it_within_the_grace_is_left_alone(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = study.ask()
    monkeypatch.setattr(
        "optuna_nas.studies.recovery.time.sleep",
        lambda _: trial.set_user_attr(WORKER, recovery.this_process()),
    )
    assert recovery.fail_abandoned_trials(study) == []
    assert states(study) == ["RUNNING"]


def test_repeated_only_once(study: optuna.Study) -> None:
    dead = dead_process()
    start(study, dead)
    (trial,) = recovery.fail_abandoned_trials(study)
    assert recovery.repeat(study, trial)
    assert start(study, dead) == 1
    (trial,) = recovery.fail_abandoned_trials(study)
    assert not recovery.repeat(study, trial)
    assert states(study) == ["FAIL", "FAIL"]


def test_finished_trials_are_untouched(study: optuna.Study) -> None:
    study.add_trial(
        optuna.create_trial(
            value=1.0,
            params={"x": 1},
            distributions={"x": IntDistribution(0, 2)},
            user_attrs={WORKER: dead_process()},
        )
    )
    start(study, dead_process())
    before = study.trials[0]
    recovery.fail_abandoned_trials(study)
    assert states(study) == ["COMPLETE", "FAIL"]
    assert study.trials[0] == before


def test_two_processes_recover_at_once(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(study, dead_process())
    seen = study.get_trials()
    assert len(recovery.fail_abandoned_trials(study)) == 1
    monkeypatch.setattr(recovery, "_running", lambda _: seen)  # What the slower one has read.
    assert recovery.fail_abandoned_trials(study) == []
    assert states(study) == ["FAIL"]


def test_own_trials_and_those_that_nobody_claims_fail(study: optuna.Study) -> None:
    start(study, dead_process())
    start(study, None)
    own = start(study, recovery.this_process())
    recovery.fail_own_trials(study, "interrupted by the user")
    assert states(study) == ["RUNNING", "FAIL", "FAIL"]
    assert study.trials[own].user_attrs[FAIL_REASON] == "interrupted by the user"
    assert not recovery.fail(study, study.trials[own], "too late")


def test_repeated_trial_keeps_what_was_decided_and_leaves_the_first_as_it_was(
    study: optuna.Study,
) -> None:
    trial = study.ask()
    trial.suggest_int("x", 0, 10)  # Killed before "y".
    trial.set_user_attr(WORKER, dead_process())
    (abandoned,) = recovery.fail_abandoned_trials(study)
    first = study.trials[0]
    assert recovery.repeat(study, abandoned)
    assert study.trials[0] == first
    assert abandoned.user_attrs[WORKER]
    again = study.ask()
    assert again.params == trial.params
    assert 0 <= again.suggest_int("y", 0, 10) <= 10


def test_first_reason_stays(study: optuna.Study) -> None:
    trial = study.ask()
    trial.set_user_attr(FAIL_REASON, "first")
    recovery.fail(study, study.trials[0], "second")
    assert study.trials[0].user_attrs[FAIL_REASON] == "first"


def test_trial_is_marked_before_its_architecture_is_chosen(study: optuna.Study) -> None:
    found: list[tuple[Any, dict[str, Any]]] = []

    def objective(trial: optuna.Trial) -> float:
        (running,) = study.get_trials(states=(TrialState.RUNNING,))
        found.append((running.user_attrs[WORKER], running.params))
        return trial.suggest_float("x", 0, 1)

    study.optimize(recovery.Marked(objective), n_trials=1)
    assert found == [(recovery.this_process(), {})]
    assert study.trials[0].state == TrialState.COMPLETE
