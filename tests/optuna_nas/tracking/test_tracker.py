"""What a tracked study looks like in MLflow, read back through its client."""

from __future__ import annotations

from collections.abc import Mapping
import csv
import io
from pathlib import Path
import pickle
import subprocess
import sys
import threading

from mlflow import MlflowClient
from mlflow.entities import Run
import numpy as np
import optuna
from optuna.study import Study
from optuna.trial import Trial
from PIL import Image
import pytest

from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import CellSpace
from optuna_nas import Evaluation
from optuna_nas.evaluation import Report
from optuna_nas.tracking import MLflowTracker


SPACE = CellSpace()
OBJECTIVES = ("val_accuracy", "params")


@pytest.fixture
def uri(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """One database for all tests of tracking: to make one takes seconds."""
    folder = tmp_path_factory.getbasetemp() / "tracking"
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr("optuna_nas.tracking._parent._SETTLE", 0.0)
    return f"sqlite:///{folder / 'mlflow.db'}"


def evaluate(architecture: Architecture, *, report: Report | None = None) -> Evaluation:
    n_conv = sum("conv" in str(operation) for operation in architecture.values())
    accuracy = 0.5 + 0.05 * n_conv
    assert report is not None
    for epoch in range(3):
        report(
            epoch, {"val_accuracy": accuracy - 0.1 * (2 - epoch), "train_loss": 1 / (epoch + 1)}
        )
    metrics = {"val_accuracy": accuracy, "params": 100.0 * n_conv, "latency_ms": 1.5}
    return Evaluation(metrics, constraints={"params": 100.0 * n_conv - 400})


class Read:
    """The runs of a study as MLflow holds them."""

    def __init__(self, uri: str, study: Study) -> None:
        self.client = MlflowClient(uri)
        self.parent = self.client.get_run(study.user_attrs["mlflow_parent_run_id"])
        runs = self.client.search_runs(
            [self.parent.info.experiment_id],
            f"tags.`mlflow.parentRunId` = '{self.parent.info.run_id}'",
        )
        self.finals = [run for run in runs if run.info.run_name == "final"]
        self.children: dict[int, Run] = {
            int(run.data.tags["optuna.trial_number"]): run
            for run in runs
            if run not in self.finals
        }
        assert len(self.children) + len(self.finals) == len(runs)

    def curve(self, run: Run, name: str) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(run.info.run_id, name)
        return [(m.step, m.value) for m in sorted(history, key=lambda m: (m.step, m.timestamp))]

    def artifact(self, run: Run, name: str, folder: Path) -> bytes:
        folder.mkdir(exist_ok=True)
        return Path(
            self.client.download_artifacts(run.info.run_id, name, str(folder))
        ).read_bytes()

    def tags(self, name: str) -> Mapping[int, str | None]:
        return {number: run.data.tags.get(name) for number, run in self.children.items()}


def check_picture(content: bytes) -> None:
    image = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    assert image.shape[0] > 80
    assert image.shape[1] > 200
    assert 0.005 < (image < 200).mean() < 0.5  # Something dark on a light ground.


@pytest.mark.slow
def test_search_with_observer(uri: str, tmp_path: Path) -> None:
    study = optuna.create_study(
        study_name="observed",
        directions=["maximize", "minimize"],
        sampler=optuna.samplers.RandomSampler(seed=3),
    )
    with MLflowTracker(
        tracking_uri=uri, objectives=OBJECTIVES, space=SPACE, params={"data": "toy", "epochs": 3}
    ) as tracker:
        objective = ArchitectureObjective(
            SPACE, evaluate, objectives=OBJECTIVES, observers=[tracker]
        )
        study.optimize(objective, n_trials=8, callbacks=[tracker])

    read = Read(uri, study)
    assert read.parent.info.run_name == "observed"
    assert read.parent.info.status == "FINISHED"
    assert read.parent.data.params == {"data": "toy", "epochs": "3"}
    assert sorted(read.children) == list(range(8))
    for trial in study.trials:
        run = read.children[trial.number]
        assert run.info.run_id == trial.user_attrs["mlflow_run_id"]
        assert run.info.run_name == f"trial-{trial.number:04d}"
        assert run.info.status == "FINISHED"
        assert trial.datetime_start is not None
        assert trial.datetime_complete is not None
        assert run.info.start_time == int(trial.datetime_start.timestamp() * 1000)
        assert run.info.end_time == int(trial.datetime_complete.timestamp() * 1000)
        assert run.data.params == trial.params
        assert run.data.tags["architecture"] == trial.user_attrs["architecture"]
        assert (run.data.metrics["val_accuracy"], run.data.metrics["params"]) == tuple(
            trial.values
        )
        assert run.data.metrics["latency_ms"] == 1.5
        accuracy = trial.values[0]
        assert [step for step, _ in read.curve(run, "val_accuracy")] == [0, 1, 2]
        assert read.curve(run, "val_accuracy")[0][1] == pytest.approx(accuracy - 0.2)
        assert read.curve(run, "train_loss") == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
        assert run.data.metrics["constraint/params"] == trial.constraints["params"]
        assert run.data.tags["feasible"] == str(trial.constraints["params"] <= 0).lower()
    assert len(set(read.tags("feasible").values())) == 2

    trial = study.best_trials[0]
    run = read.children[trial.number]
    stored = Architecture.from_json(
        read.artifact(run, "architecture.json", tmp_path).decode("utf-8")
    )
    assert stored == SPACE.architecture(trial.params)
    check_picture(read.artifact(run, "architecture.png", tmp_path))
    check_picture(read.artifact(read.parent, "pareto_front.png", tmp_path))
    table = read.artifact(read.parent, "trials.csv", tmp_path).decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [int(row["trial"]) for row in rows] == list(range(8))
    front = {t.number for t in study.best_trials}
    assert {int(row["trial"]) for row in rows if row["pareto"] == "true"} == front
    assert float(rows[0]["params"]) == study.trials[0].values[1]
    assert f"trial {trial.number}:" in read.parent.data.tags["mlflow.note.content"]


def test_pareto_tags_follow_the_front(uri: str) -> None:
    study = optuna.create_study(study_name="front", directions=["maximize", "minimize"])
    values = [(0.5, 5.0), (0.4, 6.0), (0.6, 7.0), (0.7, 4.0), (0.2, 1.0)]
    tracker = MLflowTracker(tracking_uri=uri)
    fronts = []

    def check(study: Study, trial: optuna.trial.FrozenTrial) -> None:
        expected = {t.number for t in study.best_trials}
        tags = Read(uri, study).tags("pareto")
        assert {number for number, tag in tags.items() if tag == "true"} == expected
        assert set(tags.values()) <= {"true", "false"}
        fronts.append(expected)

    study.optimize(
        lambda trial: values[trial.number], n_trials=len(values), callbacks=[tracker, check]
    )
    assert fronts == [{0}, {0}, {0, 2}, {3}, {3, 4}]
    assert Read(uri, study).children[0].data.metrics == {"value_0": 0.5, "value_1": 5.0}


def test_only_changed_runs_are_touched(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("set_tag", "log_batch", "create_run", "search_runs", "get_run", "update_run"):
        method = getattr(MlflowClient, name)

        def spy(self: MlflowClient, *args: object, _m=method, _n=name, **kwargs: object) -> object:
            calls.append(_n)
            return _m(self, *args, **kwargs)

        monkeypatch.setattr(MlflowClient, name, spy)
    study = optuna.create_study(study_name="calls")
    tracker = MLflowTracker(tracking_uri=uri)
    per_trial = []

    def count(study: Study, trial: optuna.trial.FrozenTrial) -> None:
        per_trial.append(sorted(calls))
        calls.clear()

    study.optimize(lambda trial: float(trial.number), n_trials=12, callbacks=[tracker, count])
    assert per_trial[-1] == ["create_run", "log_batch", "log_batch", "search_runs"]
    assert per_trial[-1] == per_trial[3]


@pytest.mark.slow
def test_plain_objective(uri: str, tmp_path: Path) -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", -1, 1)
        depth = trial.suggest_int("depth", 1, 3)
        trial.set_user_attr("note", "by the user")
        for step in (2, 4):
            trial.report(x + step, step)
        return x + depth

    study = optuna.create_study(study_name="plain")
    study.set_metric_names(["loss"])
    with MLflowTracker("an experiment", tracking_uri=uri) as tracker:
        study.optimize(objective, n_trials=3, callbacks=[tracker])
    read = Read(uri, study)
    experiment = read.client.get_experiment(read.parent.info.experiment_id)
    assert experiment.name == "an experiment"
    database = Path(uri.removeprefix("sqlite:///"))
    assert experiment.artifact_location.startswith((database.parent / "mlartifacts").as_uri())
    for trial in study.trials:
        run = read.children[trial.number]
        x = trial.params["x"]
        assert run.data.params == {k: str(v) for k, v in trial.params.items()}
        assert run.data.metrics == {"loss": trial.value}
        assert read.curve(run, "loss") == [(2, x + 2), (4, x + 4), (4, trial.value)]
        assert run.data.tags["note"] == "by the user"
        assert read.client.list_artifacts(run.info.run_id) == []
    best = [value for _, value in read.curve(read.parent, "best_loss")]
    assert best == list(np.minimum.accumulate([trial.value for trial in study.trials]))
    assert [step for step, _ in read.curve(read.parent, "trials_complete")] == [0, 1, 2]
    assert read.parent.data.metrics["trials_complete"] == 3
    check_picture(read.artifact(read.parent, "optimization_history.png", tmp_path))


def test_states_agree(uri: str) -> None:
    def objective(trial: Trial) -> float:
        trial.suggest_int("x", 0, 9)
        if trial.number == 1:
            trial.report(0.25, 0)
            raise optuna.TrialPruned
        if trial.number == 2:
            trial.set_user_attr("fail_reason", "RuntimeError: out of memory")
            raise RuntimeError("out of memory")
        return float("nan") if trial.number == 3 else 1.0

    study = optuna.create_study(study_name="states")
    with MLflowTracker(tracking_uri=uri) as tracker:
        study.optimize(objective, n_trials=4, callbacks=[tracker], catch=(RuntimeError,))
    read = Read(uri, study)
    status = {number: run.info.status for number, run in read.children.items()}
    assert status == {0: "FINISHED", 1: "KILLED", 2: "FAILED", 3: "FAILED"}
    assert read.tags("fail_reason")[2] == "RuntimeError: out of memory"
    assert read.tags("optuna.state") == {0: "COMPLETE", 1: "PRUNED", 2: "FAIL", 3: "FAIL"}
    assert read.tags("pareto") == {0: "true", 1: "false", 2: "false", 3: "false"}
    assert read.children[1].data.metrics == {"value": 0.25}
    counts = {k: v for k, v in read.parent.data.metrics.items() if k.startswith("trials")}
    assert counts == {"trials_complete": 1, "trials_pruned": 1, "trials_failed": 2}


def test_interrupted_search(uri: str) -> None:
    def broken(architecture: Architecture, *, report: Report | None = None) -> Evaluation:
        assert report is not None
        report(0, {"val_accuracy": 0.1})
        raise KeyboardInterrupt

    study = optuna.create_study(study_name="interrupted")

    def search() -> None:
        with MLflowTracker(tracking_uri=uri) as tracker:
            objective = ArchitectureObjective(
                SPACE, broken, objectives=["val_accuracy"], observers=[tracker]
            )
            study.optimize(objective, n_trials=2, callbacks=[tracker])

    with pytest.raises(KeyboardInterrupt):
        search()
    read = Read(uri, study)
    assert read.parent.info.status == "FINISHED"
    assert [run.info.status for run in read.children.values()] == ["KILLED"]
    assert read.tags("fail_reason") == {0: "interrupted by the user"}
    assert read.curve(read.children[0], "val_accuracy") == [(0, 0.1)]


def test_interrupted_plain_objective(uri: str) -> None:
    def objective(trial: Trial) -> float:
        if trial.number == 1:
            raise KeyboardInterrupt
        return 1.0

    study = optuna.create_study(study_name="interrupted-plain")
    tracker = MLflowTracker(tracking_uri=uri)
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=3, callbacks=[tracker])
    tracker.interrupt(study)
    tracker.close(study)
    read = Read(uri, study)
    assert {n: run.info.status for n, run in read.children.items()} == {0: "FINISHED", 1: "KILLED"}


def test_trial_that_never_ends_is_killed_at_close(uri: str) -> None:
    study = optuna.create_study(study_name="left")
    tracker = MLflowTracker(tracking_uri=uri, space=SPACE)
    trial = study.ask()
    tracker.on_trial_start(trial, SPACE.suggest(trial))
    assert Read(uri, study).children[0].info.status == "RUNNING"
    tracker.close(study)
    assert Read(uri, study).children[0].info.status == "KILLED"
    study.tell(trial, 0.5)  # It did end, after all.
    tracker.close(study)
    run = Read(uri, study).children[0]
    assert (run.info.status, run.data.metrics["value"]) == ("FINISHED", 0.5)


@pytest.mark.slow
def test_n_jobs(uri: str) -> None:
    barrier = threading.Barrier(4, timeout=20)

    def together(architecture: Architecture, *, report: Report | None = None) -> Evaluation:
        barrier.wait()
        return evaluate(architecture, report=report)

    study = optuna.create_study(
        study_name="threads",
        directions=["maximize", "minimize"],
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    with MLflowTracker(tracking_uri=uri, objectives=OBJECTIVES) as tracker:
        objective = ArchitectureObjective(
            SPACE, together, objectives=OBJECTIVES, observers=[tracker]
        )
        study.optimize(objective, n_trials=12, n_jobs=4, callbacks=[tracker])
    read = Read(uri, study)
    assert sorted(read.children) == list(range(12))
    for trial in study.trials:
        run = read.children[trial.number]
        assert run.info.run_id == trial.user_attrs["mlflow_run_id"]
        assert run.info.status == "FINISHED"
        assert run.data.params == trial.params
        assert run.data.metrics["params"] == trial.values[1]
        assert len(read.curve(run, "train_loss")) == 3
    front = {n for n, tag in read.tags("pareto").items() if tag == "true"}
    assert front == {trial.number for trial in study.best_trials}


@pytest.mark.slow
def test_finished_model(uri: str, tmp_path: Path) -> None:
    study = optuna.create_study(study_name="final")
    model = tmp_path / "network.ckpt"
    model.write_bytes(b"weights")
    (tmp_path / "network.json").write_text("{}")
    with MLflowTracker(tracking_uri=uri, space=SPACE) as tracker:
        objective = ArchitectureObjective(
            SPACE, evaluate, objectives=["val_accuracy"], observers=[tracker]
        )
        study.optimize(objective, n_trials=2, callbacks=[tracker])
        for _ in range(2):
            tracker.log_final(study, 1, {"test_accuracy": 0.75}, model)
    read = Read(uri, study)
    assert read.curve(read.parent, "test_accuracy") == [(0, 0.75)]
    assert read.parent.data.tags["final_trial"] == "1"
    assert [run.data.metrics.get("test_accuracy") for _, run in sorted(read.children.items())] == [
        None,
        0.75,
    ]
    (final,) = read.finals
    assert final.info.status == "FINISHED"
    assert final.data.metrics == {"test_accuracy": 0.75}
    assert final.data.tags["final_trial"] == "1"
    assert final.data.tags["architecture"] == study.trials[1].user_attrs["architecture"]
    assert read.artifact(final, "network.ckpt", tmp_path / "copy") == b"weights"
    assert {file.path for file in read.client.list_artifacts(final.info.run_id)} == {
        "architecture.json",
        "architecture.png",
        "network.ckpt",
        "network.json",
    }


def test_finished_model_that_a_killed_process_was_logging(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(study_name="final-killed")
    model = tmp_path / "network.ckpt"
    model.write_bytes(b"first")
    tracker = MLflowTracker(tracking_uri=uri)
    study.optimize(lambda trial: 1.0, n_trials=1, callbacks=[tracker])

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", killed)
        with pytest.raises(KeyboardInterrupt):
            tracker.log_final(study, 0, {"test_accuracy": 0.5}, model)
    (first,) = Read(uri, study).finals
    assert first.info.status == "RUNNING"
    tracker.log_final(study, 0, {"test_accuracy": 0.5}, model)
    (again,) = Read(uri, study).finals
    assert (again.info.run_id, again.info.status) == (first.info.run_id, "FINISHED")

    model.write_bytes(b"second")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", killed)
        with pytest.raises(KeyboardInterrupt):
            tracker.log_final(study, 0, {"test_accuracy": 0.6}, model)
    model.write_bytes(b"third")
    tracker.log_final(study, 0, {"test_accuracy": 0.7}, model)
    tracker.close()
    read = Read(uri, study)
    statuses = {run.data.metrics["test_accuracy"]: run.info.status for run in read.finals}
    assert statuses == {0.5: "FINISHED", 0.6: "KILLED", 0.7: "FINISHED"}
    assert read.parent.data.metrics["test_accuracy"] == 0.7


def test_finished_model_without_file_or_as_folder(uri: str, tmp_path: Path) -> None:
    study = optuna.create_study(study_name="final-folder")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(b"weights")
    with MLflowTracker(tracking_uri=uri) as tracker:
        study.optimize(lambda trial: 1.0, n_trials=1, callbacks=[tracker])
        for _ in range(2):
            tracker.log_final(study, 0, {"test_accuracy": 0.5})
            tracker.log_final(study, 0, {"test_accuracy": 0.5}, tmp_path / "model")
    read = Read(uri, study)
    assert len(read.finals) == 2
    files = {
        file.path: [f.path for f in read.client.list_artifacts(run.info.run_id, file.path)]
        for run in read.finals
        for file in read.client.list_artifacts(run.info.run_id)
    }
    assert files == {"model": ["model/weights.bin"]}


def test_odd_names_and_values(uri: str) -> None:
    def objective(trial: Trial) -> float:
        trial.suggest_categorical("kernel (k×k)?", ["3x3" * 3000])
        trial.suggest_categorical("../up", [None, True])
        trial.set_user_attr("metrics", {"top@1": 0.5, "a//b": 1, "text": "no number"})
        trial.set_user_attr("curves", {"loss": [2.0, float("nan"), 1.0]})
        return float("inf")

    study = optuna.create_study(study_name="odd names: a/b 'c' ×")
    with MLflowTracker(tracking_uri=uri) as tracker:
        study.optimize(objective, n_trials=1, callbacks=[tracker])
    read = Read(uri, study)
    run = read.children[0]
    assert len(run.data.params) == 2
    assert run.data.metrics["top_1"] == 0.5
    assert run.data.metrics["value"] > 1e300
    assert read.curve(run, "loss") == [(0, 2.0), (2, 1.0)]


def test_more_than_one_batch(uri: str) -> None:
    def objective(trial: Trial) -> float:
        for i in range(130):
            trial.suggest_int(f"x{i}", 0, 1)
        trial.set_user_attr("curves", {f"m{i}": [0.5] * 300 for i in range(4)})
        return 1.0

    study = optuna.create_study(study_name="large", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=1, callbacks=[MLflowTracker(tracking_uri=uri)])
    read = Read(uri, study)
    assert len(read.children[0].data.params) == 130
    assert [len(read.curve(read.children[0], f"m{i}")) for i in range(4)] == [300] * 4


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="tracking_uri"):
        MLflowTracker(tracking_uri="")


def test_pickles(uri: str) -> None:
    study = optuna.create_study(study_name="pickled")
    tracker = MLflowTracker(tracking_uri=uri, space=SPACE, params={"a": 1})
    tracker.start(study)
    copy = pickle.loads(pickle.dumps(tracker))
    study.optimize(lambda trial: 1.0, n_trials=1, callbacks=[copy])
    copy.close()
    read = Read(uri, study)
    assert sorted(read.children) == [0]
    assert read.parent.data.params == {"a": "1"}


@pytest.mark.slow
def test_import_is_light_and_first_use_is_quiet(tmp_path: Path) -> None:
    code = """
import sys, optuna, optuna_nas
from optuna_nas.tracking import MLflowTracker
assert not {"mlflow", "matplotlib", "pandas"} & set(sys.modules)
optuna.logging.set_verbosity(optuna.logging.WARNING)
with MLflowTracker() as tracker:
    assert "matplotlib" not in sys.modules
    study = optuna.create_study(study_name="quiet")
    study.optimize(lambda trial: 1.0, n_trials=2, callbacks=[tracker])
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlartifacts", "mlflow.db"]
