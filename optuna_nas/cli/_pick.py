"""Choosing one trial of a Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial


def knee(front: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> FrozenTrial:
    """Return the trial that is closest to the ideal point.

    Each objective is scaled to [0, 1] between its best and its worst value on the front; the
    distance is Euclidean (compromise programming, Zeleny, Multiple Criteria Decision Making, 1973,
    with p = 2). Infinite values count as the worst finite one.

    Args:
        front: At least one completed trial.
        directions: Directions of the study.
    """
    signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
    losses = np.array([trial.values for trial in front], dtype=float) * signs
    finite = np.where(np.isfinite(losses), losses, np.nan)
    best, worst = np.nanmin(finite, axis=0), np.nanmax(finite, axis=0)
    width = np.where(worst > best, worst - best, 1.0)
    scaled = (np.clip(losses, best, worst) - best) / width
    return front[int(np.linalg.norm(scaled, axis=1).argmin())]
