"""Where a search can find nothing more, or nothing at all, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
import re

import numpy as np
import optuna
import pytest

from lightning_modules.cli import main
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import Constraint
from optuna_nas.constraints import nearest_values


SPACE = """
from optuna.distributions import IntDistribution
from torch import nn
from optuna_nas import CustomSpace

def build(architecture):
    width = architecture["width"]
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

space = CustomSpace({"width": IntDistribution(4, 6)}, build=build)
"""
FAST = ["search", "--data", "digits", "--epochs", "1", "--final-epochs", "1"]

CELL = CellSpace()


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """One MLflow database for all tests: making one takes seconds."""
    return ["--tracking-uri", f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.py").write_text(SPACE)


@pytest.mark.parametrize("sampler", ["genetic", "random"])
def test_a_search_ends_when_its_space_does(
    sampler: str, tracking: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        *FAST,
        *tracking,
        "--space",
        "small.py:space",
        "--sampler",
        sampler,
        "--study-name",
        "small",
    ]
    assert main([*command, "--n-trials", "40"]) == 0
    sentence = "All 3 different architectures of the space custom were evaluated. The search ends"
    assert capsys.readouterr().out.count(f"{sentence} before 40 trials.") == 1
    study = optuna.load_study(study_name="small", storage="sqlite:///optuna.db")
    assert {trial.params["width"] for trial in study.trials} == {4, 5, 6}
    n = len(study.trials)
    assert n == 3 if sampler == "genetic" else n < 40
    assert main([*command, "--n-trials", "50"]) == 0  # To go on adds nothing.
    assert f"{sentence} before 50 trials." in capsys.readouterr().out
    assert len(study.get_trials()) == n


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(
            ["--space", "mobile", "--constraint", "params<=60000"],
            "mobile but got params<=60000, .* none was found; .* the smallest params is 86,682.",
            marks=pytest.mark.slow,
        ),
        (
            ["--space", "small.py:space", "--constraint", "params<=10", "macs>=1"],
            "custom but got params<=10 macs>=1, .* params is 310 and the largest macs is 444.",
        ),
        (
            ["--data", "nasbench201:cifar10", "--constraint", "params>=9999999"],
            "cell but got params>=9999999, .* the largest params is 1,531,546.",
        ),
    ],
)
def test_a_bound_that_nothing_keeps_is_an_error_before_the_study(
    options: Sequence[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FAST, *options]) == 2
    error = capsys.readouterr().err
    expected = "Expected option --constraint to be kept by an architecture of "
    assert error.count("\n") == 1
    assert expected in error
    assert re.search(words, error), error
    assert not Path("optuna.db").exists()


def count(choice: str, architecture: Architecture) -> float:
    return list(architecture.values()).count(choice)


def at_least(n: int, choice: str) -> Constraint:
    return Constraint(choice, lower=n, function=partial(count, choice))


def at_most(n: int, choice: str) -> Constraint:
    return Constraint(choice, upper=n, function=partial(count, choice))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_only_architecture_within_the_bounds_is_found() -> None:
    bounds = [at_least(5, "nor_conv_3x3"), at_least(1, "none"), at_most(0, "skip_connect")]
    assert nearest_values(CELL, bounds, rng())[0]
    kept, nearest = nearest_values(CELL, [at_least(6, "none")], rng())
    assert (kept, nearest) == (True, {"none>=6": 6})


@pytest.mark.parametrize("n_tries", [1, 30, 200])
def test_no_more_is_tried_than_allowed(n_tries: int) -> None:
    tried = []

    def negative(architecture: Architecture) -> float:
        tried.append(architecture)
        return count("none", architecture)

    bound = Constraint("none", upper=-1, function=negative)
    kept, nearest = nearest_values(CELL, [bound], rng(), n_tries=n_tries)
    assert not kept
    assert nearest["none<=-1"] == min(count("none", architecture) for architecture in tried)
    assert len(tried) == n_tries
