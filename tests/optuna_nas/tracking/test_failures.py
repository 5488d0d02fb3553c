"""A failure of MLflow is one warning and never a failed trial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
import re
import socket
import sqlite3
import time
from types import SimpleNamespace
from typing import Any
import warnings

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
import optuna
from optuna.study import Study
from optuna.trial import TrialState
import pytest

from optuna_nas import ArchitectureObjective
from optuna_nas import CustomSpace
from optuna_nas.tracking import MLflowTracker
from tests.optuna_nas.tracking.test_tracker import evaluate
from tests.optuna_nas.tracking.test_tracker import Read
from tests.optuna_nas.tracking.test_tracker import SPACE


@pytest.fixture
def uri(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path_factory.getbasetemp() / "tracking"
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr("optuna_nas.tracking._parent._SETTLE", 0.0)
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a tracker for an http URI sets."""
    for name in ("MAX_RETRIES", "BACKOFF_FACTOR", "TIMEOUT"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "0")
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}")
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def search(study: Study, tracker: MLflowTracker, n_trials: int) -> list[str]:
    """Run trials and return the warnings."""
    objective = ArchitectureObjective(
        SPACE, evaluate, objectives=["val_accuracy"], observers=[tracker]
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        study.optimize(objective, n_trials=n_trials, callbacks=[tracker])
        tracker.close()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * n_trials
    return [str(w.message) for w in caught if w.category is RuntimeWarning]


def break_client(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    def fail(self: MlflowClient, *args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(MlflowClient, name, fail)


@pytest.mark.parametrize(
    "name",
    [
        "get_experiment_by_name",
        "create_run",
        "log_batch",
        "log_artifacts",
        "set_terminated",
        "search_runs",
    ],
)
def test_client_that_raises(uri: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(study_name=f"broken {name}")
    with monkeypatch.context() as patch:
        break_client(patch, name, OSError("disk full"))
        messages = search(study, MLflowTracker(tracking_uri=uri, space=SPACE), 3)
    assert len(messages) == 1
    assert "OSError: disk full" in messages[0]
    assert uri in messages[0]


def test_everything_is_logged_when_mlflow_is_back(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(study_name="outage", directions=["maximize"])
    tracker = MLflowTracker(tracking_uri=uri, space=SPACE)
    objective = ArchitectureObjective(
        SPACE, evaluate, objectives=["val_accuracy"], observers=[tracker]
    )
    study.optimize(objective, n_trials=1, callbacks=[tracker])
    with monkeypatch.context() as patch:
        break_client(patch, "log_batch", MlflowException("database is locked"))
        with pytest.warns(RuntimeWarning, match="database is locked"):
            study.optimize(objective, n_trials=2, callbacks=[tracker])
    study.optimize(objective, n_trials=1, callbacks=[tracker])
    tracker.close()
    read = Read(uri, study)
    assert {n: run.info.status for n, run in read.children.items()} == dict.fromkeys(
        range(4), "FINISHED"
    )
    for trial in study.trials:
        run = read.children[trial.number]
        assert run.data.metrics["value"] == trial.value
        assert [step for step, _ in read.curve(run, "train_loss")] == [0, 1, 2]
        assert run.data.params == trial.params
        assert len(read.client.list_artifacts(run.info.run_id)) == 2
    assert read.parent.data.metrics["trials_complete"] == 4


def test_trial_that_mlflow_refuses_does_not_stop_the_others(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_batch = MlflowClient.log_batch

    def picky(self: MlflowClient, run_id: str, **kwargs: object) -> None:
        if any(param.value == "1" for param in kwargs.get("params", ())):
            raise MlflowException("no", error_code=1000)  # INVALID_PARAMETER_VALUE
        log_batch(self, run_id, **kwargs)

    monkeypatch.setattr(MlflowClient, "log_batch", picky)
    study = optuna.create_study(study_name="picky")
    for x in range(3):
        study.enqueue_trial({"x": x})
    with (
        pytest.warns(RuntimeWarning, match="no"),
        MLflowTracker(tracking_uri=uri) as tracker,
    ):
        study.optimize(lambda t: t.suggest_int("x", 0, 2), n_trials=3, callbacks=[tracker])
    read = Read(uri, study)
    assert {n: run.data.metrics.get("value") for n, run in read.children.items()} == {
        0: 0,
        1: None,
        2: 2,
    }
    assert {run.info.status for run in read.children.values()} == {"FINISHED"}


def test_space_that_cannot_be_drawn(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: CustomSpace, architecture: object) -> None:
        raise KeyError("no graph")

    monkeypatch.setattr(type(SPACE), "to_graph", fail)
    study = optuna.create_study(study_name="not drawn")
    assert len(search(study, MLflowTracker(tracking_uri=uri, space=SPACE), 2)) == 1
    read = Read(uri, study)
    for run in read.children.values():
        assert [f.path for f in read.client.list_artifacts(run.info.run_id)] == [
            "architecture.json"
        ]


def test_wrong_number_of_objectives(uri: str) -> None:
    study = optuna.create_study(study_name="wrong names")
    tracker = MLflowTracker(tracking_uri=uri, objectives=["a", "b"])
    assert "`objectives` to be 1 names" in search(study, tracker, 1)[0]


def test_warnings_as_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "optuna_nas.tracking._session.connect", lambda *args: (_ for _ in ()).throw(OSError())
    )
    study = optuna.create_study()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.optimize(lambda trial: 1.0, n_trials=1, callbacks=[MLflowTracker()])
    assert study.trials[0].state == TrialState.COMPLETE


@pytest.mark.usefixtures("_environment")
def test_unreachable_server(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    started = time.monotonic()
    messages = search(
        optuna.create_study(), MLflowTracker(tracking_uri=f"http://me:secret@{address}/"), 3
    )
    assert time.monotonic() - started < 60
    assert len(messages) == 1
    assert address in messages[0]
    assert "secret" not in messages[0]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text/x.db", "NotADirectoryError|FileExistsError"),
        ("folder", "unable to open database file"),
        ("text.db", "file is not a database"),
    ],
)
def test_sqlite_file_that_cannot_be_written(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow, which would try for minutes, is not asked."""
    (tmp_path / "folder").mkdir()
    for text in ("text", "text.db"):
        (tmp_path / text).write_text("no database")
    path = tmp_path / name
    asked = []
    monkeypatch.setattr("mlflow.MlflowClient.__init__", lambda *_, **__: asked.append(1))
    (message,) = search(optuna.create_study(), MLflowTracker(tracking_uri=f"sqlite:///{path}"), 3)
    assert re.search(reason, message)
    assert not asked


def test_file_that_only_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a file system without room or permission comes from writing alone."""
    with closing(sqlite3.connect(tmp_path / "full.db")) as database:
        database.execute("CREATE TABLE t (x)")
    connect = sqlite3.connect

    def read_only(path: object, **kwargs: Any) -> sqlite3.Connection:
        return connect(f"file:{path}?mode=ro", uri=True, **kwargs)

    monkeypatch.setattr("optuna_nas.tracking._connection.sqlite3.connect", read_only)
    tracker = MLflowTracker(tracking_uri=f"sqlite:///{tmp_path}/full.db")
    (message,) = search(optuna.create_study(), tracker, 2)
    assert "attempt to write a readonly database" in message


def test_store_that_fails_slowly_costs_a_tenth_of_the_time(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock moves by two minutes for a failed call, and by ten seconds for a trial."""
    clock = [0.0]
    failed = [0]

    def slow(*_: object) -> None:
        clock[0] += 120
        failed[0] += 1
        raise OSError("slow")

    monkeypatch.setattr("optuna_nas.tracking._session.connect", slow)
    monkeypatch.setattr(
        "optuna_nas.tracking._guard.time", SimpleNamespace(monotonic=lambda: clock[0])
    )

    def objective(trial: optuna.Trial) -> float:
        clock[0] += 10
        return 1.0

    tracker = MLflowTracker(tracking_uri=uri)
    with pytest.warns(RuntimeWarning, match="slow"):
        optuna.create_study().optimize(objective, n_trials=600, callbacks=[tracker])
    assert 1 < failed[0] <= clock[0] / 120 / 10 + 1


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.usefixtures("_environment")
def test_server_that_hangs(silent_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    tracker = MLflowTracker(tracking_uri=f"http://{silent_server}")
    study = optuna.create_study()
    started = time.monotonic()
    with pytest.warns(RuntimeWarning, match="timed out|timeout"):
        study.optimize(lambda trial: 1.0, n_trials=50, callbacks=[tracker])
    assert time.monotonic() - started < 25  # Only the first trial waited.
