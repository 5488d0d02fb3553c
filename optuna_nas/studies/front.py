"""The best trials of a study, and the choice of one of them."""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial


def best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the feasible trials that no other dominates, best in the first objective first.

    Of trials with equal values the first stays.
    """
    front = {tuple(trial.values): trial for trial in reversed(study.best_trials)}
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1
    return sorted(front.values(), key=lambda trial: (sign * trial.values[0], trial.number))


def knee(front: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> FrozenTrial:
    """Return the trial that is closest to the ideal point.

    Each objective is scaled to [0, 1] between its best and its worst value on the front; the
    distance is Euclidean (compromise programming, Zeleny, Multiple Criteria Decision Making, 1973,
    with p = 2). A trial with an infinite value is taken only if there is no other.

    Args:
        front: At least one completed trial.
        directions: Directions of the study.
    """
    finite = [trial for trial in front if all(map(math.isfinite, trial.values))]
    if not finite:
        return front[0]
    signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
    losses = np.array([trial.values for trial in finite], dtype=float) * signs
    best, worst = losses.min(axis=0), losses.max(axis=0)
    width = np.where(worst > best, worst - best, 1.0)
    return finite[int(np.linalg.norm((losses - best) / width, axis=1).argmin())]
