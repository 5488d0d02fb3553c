"""The supernet stage in MLflow: curves, heat map, prior, and what an interruption leaves."""

from __future__ import annotations

from functools import partial
import json
from pathlib import Path
import pickle
import warnings

from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.study import Study
import pytest

from optuna_nas import CellSpace
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.tracking import MLflowTracker
from optuna_nas.tracking import SupernetTracker
from optuna_nas.tracking._drawing import to_png
from optuna_nas.tracking._heat_map import plot_prior
from tests.optuna_nas.tracking.test_parts import gray
from tests.optuna_nas.tracking.test_parts import texts
from tests.optuna_nas.tracking.test_tracker import check_picture
from tests.optuna_nas.tracking.test_tracker import uri  # noqa: F401


SPACE = CellSpace()
PRIOR = Prior(SPACE, {name: [1, 2, 3, 4, i] for i, name in enumerate(SPACE.distributions)})
BEST = PRIOR.most_likely()
EPOCHS = [{"supernet_loss": 2.0 - i, "supernet_val_accuracy": 0.25 * i} for i in range(3)]


class Read:
    """The run of a stage, as MLflow holds it."""

    def __init__(self, uri: str, run: Run, folder: Path) -> None:  # noqa: F811
        self.client = MlflowClient(uri)
        self.run = run
        self._folder = folder

    def curve(self, name: str) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(self.run.info.run_id, name)
        return sorted((m.step, m.value) for m in history)

    def artifact(self, name: str, run_id: str | None = None) -> bytes:
        self._folder.mkdir(exist_ok=True)
        found = self.client.download_artifacts(
            run_id or self.run.info.run_id, name, str(self._folder)
        )
        return Path(found).read_bytes()


def children(uri: str, study: Study) -> list[Run]:  # noqa: F811
    client = MlflowClient(uri)
    parent = client.get_run(study.user_attrs["mlflow_parent_run_id"])
    return list(
        client.search_runs(
            [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
        )
    )


def check_artifacts(read: Read) -> None:
    assert Prior.from_json(SPACE, read.artifact("prior.json").decode()).most_likely() == BEST
    check_picture(read.artifact("prior.png"))
    check_picture(read.artifact("architecture.png"))
    assert json.loads(read.artifact("architecture.json"))["params"] == dict(BEST)
    assert read.artifact("supernet.pt") == b"weights"
    assert read.run.data.tags["architecture"] == SPACE.to_string(BEST)


def test_stage_of_a_study(uri: str, tmp_path: Path) -> None:  # noqa: F811
    study = optuna.create_study(study_name="with stage")
    file = tmp_path / "supernet.pt"
    file.write_bytes(b"weights")
    with MLflowTracker(tracking_uri=uri, space=SPACE) as tracker:
        tracker.start_supernet(study, {"relaxation": "fairnas", "epochs": 3})
        (run,) = children(uri, study)
        assert (run.info.run_name, run.info.status) == ("supernet", "RUNNING")
        report = partial(tracker.on_supernet_epoch, study)
        for epoch, values in enumerate(EPOCHS):
            report(epoch, values)
            (run,) = children(uri, study)
            assert run.data.metrics == values
        tracker.log_supernet(study, PRIOR, BEST, file)
        (run,) = children(uri, study)
        assert run.info.status == "FINISHED"
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 1, callbacks=[tracker])
    run, _ = sorted(children(uri, study), key=lambda run: str(run.info.run_name))
    read = Read(uri, run, tmp_path / "artifacts")
    assert run.info.run_name == "supernet"
    assert run.data.params == {"relaxation": "fairnas", "epochs": "3"}
    assert read.curve("supernet_loss") == [(0, 2.0), (1, 1.0), (2, 0.0)]
    assert read.curve("supernet_val_accuracy") == [(0, 0.0), (1, 0.25), (2, 0.5)]
    check_artifacts(read)
    parent_id = study.user_attrs["mlflow_parent_run_id"]
    assert read.artifact("supernet_prior.png", parent_id) == read.artifact("prior.png")


def test_stage_that_is_broken_off_goes_on_with_its_run(
    uri: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    study = optuna.create_study(study_name="broken stage")
    (tmp_path / "supernet.pt").write_bytes(b"weights")
    tracker = MLflowTracker(tracking_uri=uri)
    tracker.start_supernet(study, {"epochs": 3})
    tracker.on_supernet_epoch(study, 0, EPOCHS[0])
    tracker.on_supernet_epoch(study, 1, EPOCHS[1])
    tracker.interrupt(study)
    (first,) = children(uri, study)
    assert first.info.status == "KILLED"

    for _ in range(2):  # The second time everything has been logged.
        tracker = MLflowTracker(tracking_uri=uri)
        tracker.start_supernet(study, {"epochs": 3})
        for epoch in (1, 2):  # The epoch after the last checkpoint is trained again.
            tracker.on_supernet_epoch(study, epoch, EPOCHS[epoch])
        tracker.log_supernet(study, PRIOR, BEST, tmp_path / "supernet.pt")
        tracker.close(study)
    (run,) = children(uri, study)
    assert run.info.run_id == first.info.run_id
    assert run.info.status == "FINISHED"
    read = Read(uri, run, tmp_path / "artifacts")
    assert read.curve("supernet_loss") == [(0, 2.0), (1, 1.0), (2, 0.0)]
    check_artifacts(read)


def test_stage_that_fails(uri: str, tmp_path: Path) -> None:  # noqa: F811
    study = optuna.create_study(study_name="failed stage")
    tracker = MLflowTracker(tracking_uri=uri)
    tracker.fail_supernet(study)  # There is no stage yet.
    tracker.start_supernet(study, {"epochs": 3})
    tracker.fail_supernet(study)
    tracker.close(study)
    (run,) = children(uri, study)
    assert run.info.status == "FAILED"

    alone = SupernetTracker("failed stages", tracking_uri=uri, folder=tmp_path)
    alone.fail()
    alone.start()
    alone.fail()
    alone.close()
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("failed stages")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"


def test_stage_with_other_settings_has_a_run_of_its_own(uri: str) -> None:  # noqa: F811
    study = optuna.create_study(study_name="other stage")
    for epochs in (3, 4):
        tracker = MLflowTracker(tracking_uri=uri)
        tracker.start_supernet(study, {"epochs": epochs})
        tracker.close(study)
    assert {run.data.params["epochs"] for run in children(uri, study)} == {"3", "4"}
    assert {run.info.status for run in children(uri, study)} == {"KILLED"}


def test_epochs_of_an_outage_are_logged_later(
    uri: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    study = optuna.create_study(study_name="outage of stage")
    tracker = MLflowTracker(tracking_uri=uri)
    tracker.start_supernet(study)

    def fail(*_: object, **__: object) -> None:
        raise MlflowException("database is locked")

    with warnings.catch_warnings(record=True) as caught, monkeypatch.context() as patch:
        warnings.simplefilter("always")
        patch.setattr(MlflowClient, "log_batch", fail)
        for epoch, values in enumerate(EPOCHS):
            tracker.on_supernet_epoch(study, epoch, values)
    assert len([w for w in caught if "database is locked" in str(w.message)]) == 1
    tracker.log_supernet(study, PRIOR, BEST)
    tracker.close()
    (run,) = children(uri, study)
    assert run.info.status == "FINISHED"
    read = Read(uri, run, tmp_path)
    assert read.curve("supernet_loss") == [(0, 2.0), (1, 1.0), (2, 0.0)]


def test_stage_alone(uri: str, tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "it's a stage"
    folder.mkdir()
    (folder / "supernet.pt").write_bytes(b"weights")
    params = {"relaxation": "gdas"}
    tracker = SupernetTracker("stages", tracking_uri=uri, folder=folder, params=params)
    tracker.on_epoch(0, EPOCHS[0])
    tracker.close()
    other = SupernetTracker("stages", tracking_uri=uri, folder=tmp_path, params=params)
    other.start()
    tracker = SupernetTracker("stages", tracking_uri=uri, folder=folder, params=params)
    tracker = pickle.loads(pickle.dumps(tracker))
    for epoch in range(3):
        tracker.on_epoch(epoch, EPOCHS[epoch])
    tracker.log_supernet(PRIOR, BEST, folder / "supernet.pt")
    tracker.close()
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("stages")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"RUNNING", "FINISHED"}
    (run,) = [run for run in runs if run.data.tags["supernet.folder"] == str(folder)]
    assert run.info.status == "FINISHED"
    assert "mlflow.parentRunId" not in run.data.tags
    assert run.data.params == params
    read = Read(uri, run, tmp_path / "artifacts")
    assert read.curve("supernet_loss") == [(0, 2.0), (1, 1.0), (2, 0.0)]
    check_artifacts(read)


def test_trackers_refuse_and_pickle(uri: str, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(ValueError, match="`tracking_uri` to be a URI but got ''"):
        SupernetTracker(tracking_uri="", folder=tmp_path)
    tracker = pickle.loads(pickle.dumps(MLflowTracker(tracking_uri=uri)))
    study = optuna.create_study(study_name="pickled stage")
    tracker.start_supernet(study)
    tracker.close()
    assert len(children(uri, study)) == 1


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Return the pairs of texts of a figure that cover each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    found = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in found]
    return [
        (found[i].get_text(), found[j].get_text())
        for i in range(len(found))
        for j in range(i)
        if boxes[i].overlaps(boxes[j])
    ]


@pytest.mark.parametrize("space", [CellSpace(), MobileSpace()], ids=["cell", "mobile"])
def test_heat_map(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    sizes = {name: len(Prior(space, {})[name]) for name in space.distributions}
    prior = Prior(space, {name: rng.random(n) for name, n in sizes.items()})
    figure = plot_prior(prior)
    decisions = [name for name, n in sizes.items() if n > 1]
    shown = texts(figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == decisions
    for name in decisions:
        distribution = space.distributions[name]
        choices = (
            range(distribution.low, distribution.high + 1, distribution.step)
            if isinstance(distribution, IntDistribution)
            else distribution.choices  # type: ignore[attr-defined]
        )
        for choice, probability in zip(choices, prior[name], strict=True):
            assert f"{choice}\n{probability:.2f}" in shown
    assert overlaps(figure) == []
    image = gray(to_png(figure))
    edges = np.concatenate([image[:3].ravel(), image[-3:].ravel()])
    edges = np.concatenate([edges, image[:, :3].ravel(), image[:, -3:].ravel()])
    assert (edges > 200).all()  # Nothing runs out of the picture.


def test_colour_of_the_heat_map_is_the_probability() -> None:
    prior = Prior(SPACE, {"edge_0_1": [0, 0, 1, 1, 2]})
    figure = plot_prior(prior)
    (image,) = figure.axes[0].images
    assert np.array_equal(np.asarray(image.get_array()), [[0, 0, 0.25, 0.25, 0.5]])
    assert image.get_clim() == (0, 1)


def test_heat_map_of_nothing() -> None:
    check_picture(to_png(plot_prior(Prior(SPACE, {}))))
