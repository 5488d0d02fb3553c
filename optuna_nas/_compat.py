"""The one place that reaches below Optuna's public interface.

Private functions are looked up when they are used. Where a version of Optuna has another name for
one, a slower function here does the same.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import functools
import importlib
from typing import Any

import numpy as np
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import PartialFixedSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState


@functools.cache
def _private(module: str, name: str) -> Callable[..., Any] | None:
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(f"optuna.{module}"), name)
    except (ImportError, AttributeError):
        return None
    return found


def non_domination_rank(losses: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Return the constrained non-domination rank of each row, 0 for the best.

    Args:
        losses: Minimised objectives of shape ``(n, n_objectives)``, without NaN.
        penalties: Total constraint violations of shape ``(n,)``; above 0 is infeasible.

    Returns:
        Integers of shape ``(n,)``. Infeasible rows rank below all feasible ones, by violation.
    """
    optunas = _private("study._multi_objective", "_fast_non_domination_rank")
    if optunas is not None:
        found: np.ndarray = optunas(losses, penalty=penalties)
        return found
    ranks = np.zeros(len(losses), dtype=int)
    left, rank = np.flatnonzero(penalties <= 0), 0
    while left.size:
        on_front = on_pareto_front(losses[left])
        ranks[left[on_front]] = rank
        left, rank = left[~on_front], rank + 1
    infeasible = penalties > 0
    ranks[infeasible] = rank + np.unique(penalties[infeasible], return_inverse=True)[1]
    return ranks


def on_pareto_front(losses: np.ndarray) -> np.ndarray:
    """Tell for each row of ``losses``, shape ``(n, n_objectives)``, whether no row dominates it.

    Returns:
        Booleans of shape ``(n,)``. Equal rows on the front are all on it.
    """
    optunas = _private("study._multi_objective", "_fast_non_domination_rank")
    if optunas is not None:
        first: np.ndarray = optunas(losses, n_below=1) == 0
        return first
    on_front = np.zeros(len(losses), dtype=bool)
    for i in np.lexsort(losses.T[::-1]):  # A row comes after those that dominate it.
        front, row = losses[on_front], losses[i]
        on_front[i] = not ((front <= row).all(1) & (front < row).any(1)).any()
    return on_front


def hypervolume(losses: np.ndarray, reference_point: np.ndarray) -> float:
    """Return the volume that is dominated by ``losses`` and dominates the reference point.

    Args:
        losses: Minimised objectives of shape ``(n, n_objectives)``; no value above the reference.
        reference_point: Shape ``(n_objectives,)``.

    Raises:
        ValueError: If a loss is above the reference point.
    """
    optunas = _private("_hypervolume", "compute_hypervolume")
    if optunas is not None:
        return float(optunas(losses, reference_point))
    if not (losses <= reference_point).all():
        raise ValueError("Expected argument `losses` to be up to the reference point.")
    return _sliced_volume(losses, reference_point)


def _sliced_volume(losses: np.ndarray, reference_point: np.ndarray) -> float:
    """Cut the volume at each value of the last objective, and add up the slices."""
    if not len(losses):
        return 0.0
    if losses.shape[1] == 1:
        return float(reference_point[0] - losses.min())
    losses = losses[losses[:, -1].argsort()]
    heights = np.diff(losses[:, -1], append=reference_point[-1])
    return sum(
        float(height) * _sliced_volume(losses[: i + 1, :-1], reference_point[:-1])
        for i, height in enumerate(heights)
        if height > 0
    )


def storage_of(study: Study) -> BaseStorage:
    """Return the storage behind a study."""
    return study._storage


def set_trial_user_attr(study: Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """Set a user attribute of an unfinished trial for which no ``Trial`` object exists."""
    study._storage.set_trial_user_attr(trial._trial_id, key, value)


def set_trial_system_attr(study: Study, trial: FrozenTrial, key: str, value: Any) -> bool:
    """Set a system attribute of an unfinished trial; :obj:`False` if it is finished by now."""
    try:
        study._storage.set_trial_system_attr(trial._trial_id, key, value)
    except UpdateFinishedTrialError:
        return False
    return True


def fail_trial(study: Study, trial: FrozenTrial) -> bool:
    """Mark an unfinished trial as failed; :obj:`False` if somebody finished it meanwhile."""
    try:
        return study._storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False


def fixed_params(trial: FrozenTrial) -> dict[str, Any]:
    """Return the parameters that ``study.enqueue_trial`` fixed for a trial."""
    fixed: dict[str, Any] = trial.system_attrs.get("fixed_params", {})
    return fixed


def partially_fixed_params(study: Study) -> dict[str, Any]:
    """Return what every ``PartialFixedSampler`` around the study's sampler fixes."""
    fixed: dict[str, Any] = {}
    sampler = study.sampler
    while isinstance(sampler, PartialFixedSampler):
        fixed = {**sampler._fixed_params, **fixed}
        sampler = sampler._base_sampler
    return fixed


def whole_study(study: Study) -> tuple[Study, int | None]:
    """Return a study of which a pruner shows a part, and which part; see ``HyperbandPruner``."""
    bracket: int | None = getattr(study, "_bracket_id", None)
    return (study if bracket is None else getattr(study, "_study")), bracket  # noqa: B009


def in_number_order(trials: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
    """Return the trials sorted by number; most storages return them so already."""
    if trials and trials[-1].number == len(trials) - 1 and trials[0].number == 0:
        return trials
    return sorted(trials, key=lambda trial: trial.number)
