"""What a study has learned of constraints that only its objective knows."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas import Constraint
from optuna_nas import CustomSpace
from optuna_nas.samplers.core._domain import TrialDomain
from optuna_nas.samplers.core._foresight import Foresight
from optuna_nas.samplers.core._history import History


WIDTHS = (1, 2, 3, 4, 5)
WIDE = CustomSpace({f"width_{i}": CategoricalDistribution(WIDTHS) for i in range(12)})
FEW = Constraint("total", upper=26, function=lambda widths: sum(widths.values()))
"""3% of the architectures keep it, but no sampler is told of it."""


def history_of(trials: list[FrozenTrial]) -> History:
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    return History.of(study, WIDE)


def test_foresight_needs_pruned_trials_and_predicts_their_violation() -> None:
    domain = TrialDomain(WIDE.distributions, WIDE, None)
    rng = np.random.default_rng(0)

    def violations(state: TrialState, n: int) -> History:
        trials = []
        for _ in range(n):
            drawn = WIDE.sample(rng)
            violation = FEW.violation(FEW.value_of(drawn))
            infeasible = state == TrialState.PRUNED and violation > 0
            trials.append(
                create_trial(
                    state=state if infeasible else TrialState.COMPLETE,
                    value=None if infeasible else 0.0,
                    params=dict(drawn),
                    distributions=dict(WIDE.distributions),
                    system_attrs={"constraints": [violation]},
                )
            )
        return history_of(trials)

    assert Foresight().violation(violations(TrialState.COMPLETE, 30), domain) is None
    assert Foresight().violation(violations(TrialState.PRUNED, 9), domain) is None
    foreseen = Foresight().violation(violations(TrialState.PRUNED, 100), domain)
    assert foreseen is not None
    by_width = [foreseen(dict.fromkeys(WIDE.distributions, width)) for width in WIDTHS]
    assert by_width[0] == 0
    assert by_width[2] < by_width[3] < by_width[4]
