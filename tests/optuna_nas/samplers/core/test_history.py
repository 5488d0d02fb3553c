"""What a sampler knows of a study: who is an individual, and in which order."""

from __future__ import annotations

import math

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas import CustomSpace
from optuna_nas.samplers.core._history import History
from optuna_nas.samplers.core._population import Population


WIDTHS = (1, 2, 3, 4, 5)
WIDE = CustomSpace({f"width_{i}": CategoricalDistribution(WIDTHS) for i in range(12)})


def trial_of(
    state: TrialState, violation: float, value: float | None = None, width: int = 1
) -> FrozenTrial:
    return create_trial(
        state=state,
        value=value,
        params=dict.fromkeys(WIDE.distributions, width),
        distributions=dict(WIDE.distributions),
        system_attrs={"constraints": [violation, -1.0]},
    )


def history_of(trials: list[FrozenTrial]) -> History:
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    return History.of(study, WIDE)


def test_feasible_before_infeasible_and_these_by_violation() -> None:
    history = history_of(
        [
            trial_of(TrialState.PRUNED, 3.0),
            trial_of(TrialState.PRUNED, 1.0),
            trial_of(TrialState.COMPLETE, 0.0, -5.0),
            trial_of(TrialState.COMPLETE, 2.0, 9.0),
            trial_of(TrialState.PRUNED, -1.0),  # By a pruner: nothing is known of it.
            trial_of(TrialState.FAIL, 0.5),
            trial_of(TrialState.COMPLETE, 0.0, 5.0),
            trial_of(TrialState.PRUNED, math.inf),
        ]
    )
    best_first = Population(history.individuals)
    assert [individual.number for individual in best_first] == [6, 2, 1, 3, 0, 7]
    shares = best_first.fitness_shares
    np.testing.assert_allclose(shares, [1, 0, 0, 0, 0, 0])
    assert set(history.unusable.values()) == {4}
