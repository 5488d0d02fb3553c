"""The search as a Python object: the same as on the command line, without printing anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import re
from typing import Any

import optuna
from optuna.trial import FrozenTrial
import pytest

from lightning_modules import load_checkpoint
from lightning_modules.data import DigitsDataModule
from lightning_modules.search import Search
from lightning_modules.spaces import as_kit
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace
from optuna_nas import Constraint
from optuna_nas import RandomArchitectureSampler
from optuna_nas.studies import Reporter


SMALL = {"channels": 2, "stages": 1}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(**settings: Any) -> Search:
    return Search(
        **{
            "n_trials": 2,
            "epochs": 1,
            "final_epochs": 1,
            "network": SMALL,
            "study_name": "one",
            "progress": False,
            **settings,
        }
    )


class Recorder(Reporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.trials: list[int] = []
        self.front: list[int] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def on_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self.trials.append(trial.number)

    def on_front(self, study: optuna.Study, front: Sequence[FrozenTrial]) -> None:
        self.front = [trial.number for trial in front]


def test_names_and_objects_give_the_same_search(capsys: pytest.CaptureFixture[str]) -> None:
    named = make(objectives=["val_accuracy", "params"], sampler="random-architecture").run()
    given = make(
        data=DigitsDataModule(),
        space=as_kit(CellSpace()),
        task=Classification(10, tuple(map(str, range(10)))),
        objectives=["val_accuracy:maximize", "params:minimize"],
        sampler=RandomArchitectureSampler,
        study_name="two",
    ).run()
    for result in (named, given):
        assert result.model is not None
        assert result.path is not None
        assert set(result.model.test_metrics) == {"test_loss", "test_accuracy"}
        assert load_checkpoint(result.path).test_metrics == result.model.test_metrics
    assert [t.params for t in named.study.trials] == [t.params for t in given.study.trials]
    assert [t.values for t in named.study.trials] == [t.values for t in given.study.trials]
    assert capsys.readouterr().out == ""


def test_the_reporter_is_told_and_nothing_finished_is_repeated() -> None:
    recorder = Recorder()
    first = make(reporter=recorder).run()
    assert recorder.trials == [0, 1]
    assert recorder.front == [trial.number for trial in first.front]
    assert any(re.match(r"test accuracy: \d+\.\d\d%", line) for line in recorder.lines)
    again = Recorder()
    second = make(reporter=again).run()
    assert again.trials == []
    assert "The study 'one' has 2 finished trials." in again.lines
    assert not any(line.startswith("Training") for line in again.lines)
    assert second.architecture == first.architecture
    more = Recorder()
    make(n_trials=3, reporter=more).run()
    assert more.trials == [2]


def test_nothing_is_written_by_a_check(folder: Path) -> None:
    make().check()
    assert list(folder.iterdir()) == []


def test_bounds_as_texts_and_as_objects() -> None:
    for bound in ("params<=500", Constraint("params", upper=500)):
        study = make(constraint=[bound], study_name=str(type(bound)), n_trials=4).run().study
        assert all(t.user_attrs["metrics"]["params"] <= 500 for t in study.trials)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"data": "nowhere"}, "`data` to be digits, .* but got 'nowhere'"),
        ({"data_settings": {"colour": 3}}, "no argument `colour` for the data digits"),
        ({"space": "nope"}, "`space` to be one of .* but got 'nope'"),
        ({"task": "nope"}, "`task` to be one of classification, .* but got 'nope'"),
        ({"module": "nope.py:X"}, "`module` nope.py:X .* there is no file nope.py"),
        ({"module": "os:sep"}, "`module` os:sep to be a class of Lightning modules but got '/'"),
        ({"module": "os:sep", "task": "regression"}, "`module` or argument `task` but got both"),
        ({"objectives": ["val_score"]}, "`objectives` to say the direction of val_score"),
        ({"objectives": ["val_f2:maximize"]}, "`objectives` to be different names of val_acc"),
        ({"objectives": ["params", "params"]}, "`objectives` to be different .* params params"),
        ({"objectives": ["params:up"]}, "`objectives` to be names such as .* but got 'params:up'"),
        ({"constraint": ["params"]}, "`constraint` to be METRIC<=NUMBER .* but got 'params'"),
        ({"constraint": ["params<=1"]}, "`constraint` to be kept .* smallest params is"),
        ({"n_trials": 0}, "`n_trials` to be at least 1 but got 0"),
        ({"timeout": 0}, "`timeout` to be above 0 but got 0"),
        ({"sampler": "best"}, "`sampler` to be one of .* but got 'best'"),
        ({"pruner": "median", "objectives": ["params"]}, "`pruner` to be none unless .* trained"),
        ({"screen": ["magic"]}, "magic"),
        ({"screen": ["params"], "pool": 0}, "`pool` to be at least 1 but got 0"),
        ({"network": {"colour": 3}}, "`space` cell .* unexpected keyword argument 'colour'"),
        ({"supernet": "nope"}, "`supernet` to be one of .* but got 'nope'"),
        ({"supernet_epochs": 3}, "`supernet_epochs` only with argument `supernet`"),
        ({"evaluate": "supernet"}, "`evaluate` only with argument `supernet`"),
        ({"supernet": "pcdarts", "inherit_weights": True}, "`inherit_weights` with a supernet of"),
        ({"latency_table": "x.json"}, "`latency_table` only with latency_ms"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], sentence: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        make(**settings).run()
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(ValueError, match="`output` to be a folder .* but got 'file/x/one'"):
        make(output="file/x").run()


def test_another_search_of_the_same_name_is_refused() -> None:
    make().run()
    with pytest.raises(ValueError, match="epochs 1, with which the study 'one' was made, but got"):
        make(epochs=2).run()
