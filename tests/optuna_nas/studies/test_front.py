"""Choosing one trial of a front, and what is printed of trials."""

from __future__ import annotations

from collections.abc import Sequence
import math

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest

from lightning_modules.cli._tables import describe_trial
from lightning_modules.cli._tables import front_of
from optuna_nas.studies.pick import knee


UP, DOWN = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE


def completed(*values: float) -> FrozenTrial:
    return optuna.create_trial(values=list(values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(0.9, 100.0), (0.85, 20.0), (0.5, 10.0)], 1),
        ([(0.9, 100.0)], 0),
        ([(0.5, 10.0), (0.9, 10.0)], 1),  # No width in the second objective.
        ([(0.9, math.inf), (0.8, 20.0), (0.2, 10.0)], 1),
        ([(0.9, math.inf)], 0),
        ([(0.9, 100.0), (0.5, 10.0)], 0),  # Equally far from the ideal: the first.
    ],
)
def test_knee(values: Sequence[tuple[float, float]], expected: int) -> None:
    front = [completed(*each) for each in values]
    assert knee(front, [UP, DOWN]) is front[expected]


def test_front_is_sorted_and_without_equals() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in [(0.5, 10.0), (0.9, 100.0), (0.9, 100.0), (0.4, 50.0), (0.7, 20.0)]:
        study.add_trial(completed(*values))
    assert [trial.number for trial in front_of(study)] == [1, 4, 0]


def test_trial_in_one_line() -> None:
    trial = completed(0.9123, 1234567.0)
    trial.user_attrs["architecture"] = "C-O"
    line = describe_trial(trial, ["val_accuracy", "params"])
    assert line == "trial -1: validation accuracy 91.23%, parameters 1,234,567  C-O"
    trial = optuna.create_trial(state=TrialState.FAIL, user_attrs={"fail_reason": "E: [red]"})
    assert describe_trial(trial, ["macs"]) == "trial -1: failed: E: [red]  "
    assert "pruned" in describe_trial(optuna.create_trial(state=TrialState.PRUNED), ["macs"])
