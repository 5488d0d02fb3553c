"""The one place that reaches below Optuna's public interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna._hypervolume import compute_hypervolume
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import PartialFixedSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.study._multi_objective import _fast_non_domination_rank
from optuna.study._multi_objective import _is_pareto_front
from optuna.trial import FrozenTrial
from optuna.trial import TrialState


def non_domination_rank(losses: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Return the constrained non-domination rank of each row, 0 for the best.

    Args:
        losses: Minimised objectives of shape ``(n, n_objectives)``, without NaN.
        penalties: Total constraint violations of shape ``(n,)``; above 0 is infeasible.

    Returns:
        Integers of shape ``(n,)``. Infeasible rows rank below all feasible ones, by violation.
    """
    return _fast_non_domination_rank(losses, penalty=penalties)


def on_pareto_front(losses: np.ndarray) -> np.ndarray:
    """Tell for each row of ``losses``, shape ``(n, n_objectives)``, whether no row dominates it.

    Returns:
        Booleans of shape ``(n,)``. Equal rows on the front are all on it.
    """
    return _is_pareto_front(losses, assume_unique_lexsorted=False)


def hypervolume(losses: np.ndarray, reference_point: np.ndarray) -> float:
    """Return the volume that is dominated by ``losses`` and dominates the reference point.

    Args:
        losses: Minimised objectives of shape ``(n, n_objectives)``; no value above the reference.
        reference_point: Shape ``(n_objectives,)``.

    Raises:
        ValueError: If a loss is above the reference point.
    """
    return float(compute_hypervolume(losses, reference_point))


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


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Tell whether a value is one of a distribution."""
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (TypeError, ValueError):
        return False


def whole_study(study: Study) -> tuple[Study, int | None]:
    """Return a study of which a pruner shows a part, and which part; see ``HyperbandPruner``."""
    bracket: int | None = getattr(study, "_bracket_id", None)
    return (study if bracket is None else getattr(study, "_study")), bracket  # noqa: B009


def in_number_order(trials: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
    """Return the trials sorted by number; most storages return them so already."""
    if trials and trials[-1].number == len(trials) - 1 and trials[0].number == 0:
        return trials
    return sorted(trials, key=lambda trial: trial.number)
