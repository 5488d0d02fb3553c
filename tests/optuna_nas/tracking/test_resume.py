"""A resumed study goes on with its runs, and several processes share them."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys
import threading
import time
from typing import Any

from mlflow import MlflowClient
import optuna
from optuna.study import Study
from optuna.trial import Trial
from optuna.trial import TrialState
import pytest

from optuna_nas import ArchitectureObjective
from optuna_nas.tracking import MLflowTracker
from optuna_nas.tracking._connection import connect
from optuna_nas.tracking._connection import Connection
from tests.optuna_nas.tracking.test_tracker import evaluate
from tests.optuna_nas.tracking.test_tracker import Read
from tests.optuna_nas.tracking.test_tracker import SPACE


@pytest.fixture
def uri(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path_factory.getbasetemp() / "tracking"
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr("optuna_nas.tracking._parent._SETTLE", 0.0)
    return f"sqlite:///{folder / 'mlflow.db'}"


def plain(trial: Trial) -> float:
    return trial.suggest_float("x", 0, 1)


def search(study: Study, tracker: MLflowTracker, n_trials: int) -> None:
    objective = ArchitectureObjective(
        SPACE, evaluate, objectives=["val_accuracy"], observers=[tracker]
    )
    study.optimize(objective, n_trials=n_trials, callbacks=[tracker])


def test_resumed_study_continues_its_runs(uri: str, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    sampler = optuna.samplers.RandomSampler(seed=0)  # Its first trial is feasible.
    study = optuna.create_study(study_name="resumed", storage=storage, sampler=sampler)
    with MLflowTracker(tracking_uri=uri, params={"sampler": "tpe", "epochs": 3}) as tracker:
        search(study, tracker, 2)
    before = Read(uri, study)

    study = optuna.load_study(study_name="resumed", storage=storage)
    tracker = MLflowTracker(tracking_uri=uri, params={"sampler": "random", "epochs": 3, "new": 1})
    tracker.start(study)
    assert Read(uri, study).parent.info.status == "RUNNING"
    search(study, tracker, 2)
    tracker.close()

    after = Read(uri, study)
    assert after.parent.info.run_id == before.parent.info.run_id
    assert after.parent.info.status == "FINISHED"
    assert after.parent.data.params == {"sampler": "tpe", "epochs": "3", "new": "1"}
    assert after.parent.data.tags["resumed_with.sampler"] == "random"
    assert sorted(after.children) == [0, 1, 2, 3]
    for number, run in before.children.items():
        assert after.children[number].info.run_id == run.info.run_id
        assert after.curve(run, "val_accuracy") == before.curve(run, "val_accuracy")
        assert len(after.curve(run, "val_accuracy")) == 3
    assert [step for step, _ in after.curve(after.parent, "best_value")] == [0, 1, 2, 3]


def test_starting_again_logs_nothing_twice(uri: str) -> None:
    study = optuna.create_study(study_name="again")
    for _ in range(3):
        with MLflowTracker(tracking_uri=uri, space=SPACE) as tracker:
            tracker.start(study)
            if len(study.trials) < 2:
                search(study, tracker, 1)
    read = Read(uri, study)
    assert sorted(read.children) == [0, 1]
    for run in [*read.children.values(), read.parent]:
        for name in run.data.metrics:
            history = read.client.get_metric_history(run.info.run_id, name)
            assert len({(m.step, m.timestamp, m.value) for m in history}) == len(history)


def test_study_that_existed_before(uri: str) -> None:
    study = optuna.create_study(study_name="before")
    study.optimize(plain, n_trials=3)
    study.add_trial(optuna.create_trial(value=-1.0))
    study.enqueue_trial({"x": 0.5})
    tracker = MLflowTracker(tracking_uri=uri)
    tracker.start(study)
    tracker.close(study)
    read = Read(uri, study)
    assert {n: run.data.metrics["value"] for n, run in read.children.items()} == {
        trial.number: trial.value for trial in study.get_trials(states=[TrialState.COMPLETE])
    }
    assert read.tags("pareto") == {0: "false", 1: "false", 2: "false", 3: "true"}
    assert read.parent.data.metrics["best_value"] == -1


def test_reconcile_after_kill(uri: str) -> None:
    study = optuna.create_study(study_name="killed")
    killed = MLflowTracker(tracking_uri=uri, space=SPACE)
    search(study, killed, 1)
    for _ in range(2):
        trial = study.ask()
        killed.on_trial_start(trial, SPACE.suggest(trial))
        killed.on_epoch_end(trial, 0, {"val_accuracy": 0.5})
    del killed  # The process is gone; of its two trials only the first was found out.
    study.tell(1, state=TrialState.FAIL)

    with MLflowTracker(tracking_uri=uri) as tracker:
        tracker.start(study)
        read = Read(uri, study)
        status = {number: run.info.status for number, run in read.children.items()}
        assert status == {0: "FINISHED", 1: "FAILED", 2: "RUNNING"}
        assert "killed" in str(read.tags("fail_reason")[1])
        assert read.curve(read.children[1], "val_accuracy") == [(0, 0.5)]
        study.tell(2, state=TrialState.FAIL)
    assert Read(uri, study).children[2].info.status == "FAILED"


def test_retried_trial_has_a_run_of_its_own(uri: str) -> None:
    study = optuna.create_study(study_name="retried")
    tracker = MLflowTracker(tracking_uri=uri)
    trial = study.ask()
    tracker.on_trial_start(trial, SPACE.suggest(trial))
    study.tell(trial, state=TrialState.FAIL)
    # As optuna.storages.RetryHeartbeatStaleTrialCallback does it.
    study.enqueue_trial(trial.params, user_attrs=study.trials[0].user_attrs)
    assert study.trials[1].user_attrs["mlflow_run_id"] == trial.user_attrs["mlflow_run_id"]
    search(study, tracker, 1)
    tracker.close(study)
    read = Read(uri, study)
    assert {n: run.info.status for n, run in read.children.items()} == {0: "FAILED", 1: "FINISHED"}


@pytest.mark.parametrize("loss", ["deleted", "unknown", "another study's"])
def test_lost_parent_is_made_anew(uri: str, loss: str) -> None:
    study = optuna.create_study(study_name=f"lost {loss}")
    with MLflowTracker("lost", tracking_uri=uri) as tracker:
        search(study, tracker, 1)
    old = study.user_attrs["mlflow_parent_run_id"]
    if loss == "deleted":
        MlflowClient(uri).delete_run(old)
    elif loss == "unknown":
        study.set_user_attr("mlflow_parent_run_id", "0" * 32)
    else:
        copied = optuna.create_study(study_name="copied")
        copied.set_user_attr("mlflow_parent_run_id", old)
        copied.add_trials(study.trials)
        study = copied
    with MLflowTracker("lost", tracking_uri=uri) as tracker:
        search(study, tracker, 1)
    read = Read(uri, study)
    assert read.parent.info.run_id != old
    assert sorted(read.children) == [0, 1]
    assert read.parent.info.status == "FINISHED"


def test_study_goes_on_after_another_process_closed_it(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna_nas.tracking._session._MARK_SECONDS", 0)
    study = optuna.create_study(study_name="two workers")
    first, second = MLflowTracker(tracking_uri=uri), MLflowTracker(tracking_uri=uri)
    search(study, first, 1)
    search(study, second, 1)
    first.close()
    assert Read(uri, study).parent.info.status == "FINISHED"
    search(study, second, 1)
    assert Read(uri, study).parent.info.status == "RUNNING"
    second.close()
    read = Read(uri, study)
    assert read.parent.info.status == "FINISHED"
    assert sorted(read.children) == [0, 1, 2]


def test_stored_uri_has_no_password(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "http://host:5000/a@b"
    study = optuna.create_study(study_name="secret")
    monkeypatch.setattr(
        "optuna_nas.tracking._session.connect",
        lambda _, name, location: connect(uri, name, location),
    )
    MLflowTracker(tracking_uri="http://me:pass@host:5000/a@b").start(study)
    assert study.user_attrs["mlflow_tracking_uri"] == shown


WORKER = """
import sys, time, optuna
from optuna_nas import ArchitectureObjective
from optuna_nas.tracking import MLflowTracker
from optuna_nas.tracking._connection import connect
from optuna_nas.tracking._connection import Connection
from tests.optuna_nas.tracking.test_tracker import evaluate, SPACE
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = optuna.storages.JournalStorage(
    optuna.storages.journal.JournalFileBackend("study.log")
)
study = optuna.create_study(
    study_name="shared", storage=storage, directions=["maximize", "minimize"], load_if_exists=True
)
names = ["val_accuracy", "params"]
with MLflowTracker(tracking_uri="sqlite:///mlflow.db", objectives=names) as tracker:
    observers = [tracker] if sys.argv[1] == "live" else []
    objective = ArchitectureObjective(SPACE, evaluate, objectives=names, observers=observers)
    study.optimize(objective, n_trials=8, callbacks=[tracker])
"""


@pytest.mark.slow
def test_slow_store_does_not_make_two_parents(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(study_name="race")
    MLflowTracker("other", tracking_uri=uri).start(optuna.create_study())  # The tables.
    create_run = Connection.create_run
    delays = [0.0, 0.5]

    def slow(self: Connection, *args: Any) -> str:
        time.sleep(delays.pop())
        return create_run(self, *args)

    monkeypatch.setattr(Connection, "create_run", slow)
    trackers = [MLflowTracker(tracking_uri=uri) for _ in range(2)]
    threads = [threading.Thread(target=tracker.start, args=[study]) for tracker in trackers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parent = Read(uri, study).parent
    client = MlflowClient(uri)
    runs = client.search_runs([parent.info.experiment_id], "tags.`optuna.study_name` = 'race'")
    assert [run.info.run_id for run in runs] == [parent.info.run_id]


@pytest.mark.slow
def test_two_processes_on_a_fresh_database(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", WORKER, mode],
            cwd=tmp_path,
            env={"PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for mode in ("live", "plain")
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert (worker.returncode, errors) == (0, "")
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    )
    study = optuna.load_study(study_name="shared", storage=storage)
    read = Read(f"sqlite:///{tmp_path / 'mlflow.db'}", study)
    everything = read.client.search_runs([read.parent.info.experiment_id])
    assert len(everything) == 17  # One parent; `Read` has checked that no trial has two runs.
    assert sorted(read.children) == list(range(16))
    assert {run.info.status for run in everything} == {"FINISHED"}
    front = {n for n, tag in read.tags("pareto").items() if tag == "true"}
    assert front == {trial.number for trial in study.best_trials}
    assert all(len(read.curve(run, "train_loss")) == 3 for run in read.children.values())
