"""The front of a study, and choosing one trial of it."""

from __future__ import annotations

from collections.abc import Sequence
import math

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
import pytest

from optuna_nas.studies import best_trials
from optuna_nas.studies import knee


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
    assert [trial.number for trial in best_trials(study)] == [1, 4, 0]
