"""The parts of tracking that need no MLflow: front, records, table, drawings, figures."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta
import io
import itertools
from pathlib import Path
import tempfile

from filelock import FileLock
from filelock import Timeout
import networkx as nx
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from PIL import Image
import pytest

from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas import SearchSpace
from optuna_nas.tracking import _connection
from optuna_nas.tracking._connection import without_password
from optuna_nas.tracking._drawing import draw_architecture
from optuna_nas.tracking._drawing import to_png
from optuna_nas.tracking._front import Front
from optuna_nas.tracking._plots import plot_study
from optuna_nas.tracking._plots import TrialPoint
from optuna_nas.tracking._records import safe_key
from optuna_nas.tracking._records import trial_record
from optuna_nas.tracking._table import summary
from optuna_nas.tracking._table import trials_table


SPACES: dict[str, SearchSpace] = {
    "cell": CellSpace(),
    "large cell": CellSpace(n_nodes=7),
    "chain": ChainSpace(max_depth=12),
    "custom": CustomSpace({f"kernel_{i}": CategoricalDistribution([3, 5]) for i in range(9)}),
}


def gray(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("L"))


def texts(figure: object) -> list[str]:
    from matplotlib.text import Text

    found = figure.findobj(Text)  # type: ignore[attr-defined]
    return [text.get_text() for text in found if text.get_text()]


@pytest.mark.parametrize("n_objectives", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_front_agrees_with_optuna(n_objectives: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    directions = rng.choice(["maximize", "minimize"], n_objectives).tolist()
    study = optuna.create_study(directions=directions)
    front = Front(study.directions)
    for _ in range(60):
        complete = rng.random() < 0.9
        state = TrialState.COMPLETE if complete else TrialState.FAIL
        values = rng.integers(0, 8, n_objectives).astype(float).tolist()  # With ties.
        constraints = {"size": float(rng.normal() - 1)} if seed % 2 else None
        study.add_trial(
            optuna.create_trial(
                state=state, values=values if complete else None, constraints=constraints
            )
        )
        numbers = front.update(study.trials)
        expected = {trial.number for trial in study.best_trials}
        if n_objectives == 1 and expected:
            expected = {study.best_trial.number}
        assert numbers == expected


@pytest.mark.parametrize("name", SPACES)
def test_drawing_of_every_space(name: str) -> None:
    space = SPACES[name]
    rng = np.random.default_rng(0)
    for _ in range(3):
        architecture = space.sample(rng)
        graph = space.to_graph(architecture)
        figure = draw_architecture(graph, title=space.to_string(architecture))
        operations = [data.get("operation") for _, _, data in graph.edges(data=True)]
        operations += [data.get("operation") for _, data in graph.nodes(data=True)]
        shown = texts(figure)
        for operation in set(operations) - {None, "none"}:
            assert shown.count(str(operation)) == operations.count(operation)
        assert "none" not in shown
        image = gray(to_png(figure))
        ink = image < 200
        assert 0.002 < ink.mean() < 0.5
        edges = np.concatenate([ink[:2].ravel(), ink[-2:].ravel(), ink[:, :2].ravel()])
        assert not edges.any()  # Nothing runs out of the picture.


def test_drawing_of_a_graph_with_branches() -> None:
    graph = nx.DiGraph([("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")])
    nx.set_node_attributes(graph, {"a": "conv_3x3", "b": "max_pool"}, "operation")
    assert set(texts(draw_architecture(graph))) == {"input", "conv_3x3", "max_pool", "output"}


def test_drawing_of_nothing() -> None:
    space = CellSpace()
    graph = space.to_graph(space.architecture(dict.fromkeys(space.distributions, "none")))
    assert texts(draw_architecture(graph)) == ["in", "1", "2", "out"]


def test_long_title_is_cut() -> None:
    space = ChainSpace()
    graph = space.to_graph(space.from_string("C"))
    assert texts(draw_architecture(graph, title="x" * 500))[-1].endswith("x...")


@pytest.mark.parametrize(
    ("n_objectives", "n_points"), [*itertools.product([1, 2, 3], [0, 1, 30]), (8, 30)]
)
def test_figures(n_objectives: int, n_points: int) -> None:
    rng = np.random.default_rng(1)
    points = [
        TrialPoint(i, tuple(10 ** rng.uniform(0, 4, n_objectives)), i % 3 > 0, i % 7 == 1)
        for i in range(n_points)
    ]
    infinite = TrialPoint(n_points, (float("inf"),) * n_objectives, True, False)
    names = [f"objective_{i}" for i in range(n_objectives)]
    figure = plot_study([*points, infinite], names, [i % 2 == 0 for i in range(n_objectives)])
    shown = texts(figure)
    assert "objective_0 (max)" in shown
    assert n_objectives == 1 or "objective_1 (min)" in shown
    if n_points == 30:
        assert {"infeasible", "trial"} <= set(shown)
    assert (gray(to_png(figure)) < 200).any()


def frozen(**kwargs: object) -> FrozenTrial:
    trial = optuna.create_trial(**kwargs)  # type: ignore[arg-type]
    trial.number = 0
    trial.datetime_start = datetime(2026, 1, 1)
    trial.datetime_complete = trial.datetime_start + timedelta(seconds=10)
    return trial


def test_record_of_a_trial() -> None:
    trial = frozen(
        values=[0.9, 7.0],
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
        constraints={"size": 1.0},
        user_attrs={
            "curves": {"accuracy": [0.5, 0.9], "loss": [2.0, 1.5]},
            "metrics": {"accuracy": 0.9, "size": 7.0, "loss": 1.0},
            "host": "a",
        },
    )
    record = trial_record(trial, ["accuracy", "size"])
    assert (record.status, record.end - record.start) == ("FINISHED", 10_000)
    assert record.params == {"x": "0.5"}
    assert record.tags == {"host": "a", "optuna.state": "COMPLETE", "feasible": "false"}
    assert [(p.key, p.value, p.step) for p in record.points] == [
        ("accuracy", 0.5, 0),
        ("accuracy", 0.9, 1),
        ("loss", 2.0, 0),
        ("loss", 1.5, 1),
        ("size", 7.0, 0),
        ("loss", 1.0, 1),  # The measured value, where it is not the last of the curve.
        ("constraint/size", 1.0, 0),
    ]
    times = [point.timestamp - record.start for point in record.points]
    assert times == [3333, 6666, 3333, 6666, 10_001, 10_001, 10_001]
    live = trial_record(trial, ["accuracy", "size"], is_logged=lambda name, step: step == 0)
    assert [(p.key, p.step) for p in live.points[:2]] == [("accuracy", 1), ("loss", 1)]


def test_record_of_a_failed_trial() -> None:
    trial = frozen(state=TrialState.FAIL, user_attrs={"fail_reason": "ValueError: no"})
    record = trial_record(trial, ["accuracy"])
    assert (record.status, record.points) == ("FAILED", [])
    assert record.tags == {"optuna.state": "FAIL", "fail_reason": "ValueError: no"}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("val_accuracy", "val_accuracy"),
        ("val/acc-1.5 b", "val/acc-1.5 b"),
        ("top@1", "top_1"),
        ("größe", "gr__e"),
        ("a//b", "a__b"),
        ("../a", "___a"),
        ("/a", "_a"),
        ("", "_"),
        (".", "_"),
        ("x" * 300, "x" * 250),
    ],
)
def test_names_that_mlflow_takes(name: str, key: str) -> None:
    from mlflow.utils.validation import _validate_metric_name
    from mlflow.utils.validation import _validate_param_name

    assert safe_key(name) == key
    _validate_metric_name(key)
    _validate_param_name(key)


def test_table_and_summary() -> None:
    trials = [
        frozen(values=[0.123456789], user_attrs={"metrics": {"params": 12345678.0}}),
        frozen(state=TrialState.FAIL, user_attrs={"fail_reason": "a, b"}),
    ]
    trials[1].number = 1
    lines = trials_table(trials, ["accuracy"], frozenset({0})).splitlines()
    assert lines == [
        "trial,state,accuracy,pareto,feasible,seconds,architecture,fail_reason,params",
        "0,COMPLETE,0.123457,true,true,10.0,,,12345678",
        '1,FAIL,,false,,10.0,,"a, b",',
    ]
    text = summary(trials, ["accuracy"], frozenset({0}), maximize=True)
    assert text.startswith("2 trials: 1 complete, 1 fail.")
    assert "- trial 0: accuracy 0.123457:" in text


def test_one_process_at_a_time_opens_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with _connection.alone("sqlite:///a.db"):
        (lock,) = tmp_path.glob("*.lock")
        with pytest.raises(Timeout):
            FileLock(lock).acquire(timeout=0)
        with _connection.alone("sqlite:///b.db"):  # Nobody waits for another database.
            assert len(list(tmp_path.glob("*.lock"))) == 2
    with FileLock(lock).acquire(timeout=0):
        pass


@pytest.mark.parametrize("uri", ["http://host", "sqlite://", "sqlite:///:memory:"])
def test_stores_that_are_not_locked(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with _connection.alone(uri):
        pass
    assert list(tmp_path.iterdir()) == []


def test_no_place_for_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with _connection.alone("sqlite:///a.db"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_passwords_are_not_shown() -> None:
    assert without_password("at https://me:secret@host/a x@y") == "at https://host/a x@y"
    assert without_password("sqlite:////a/b.db") == "sqlite:////a/b.db"
