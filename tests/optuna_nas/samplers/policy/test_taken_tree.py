"""Which sequences of choices were tried."""

from __future__ import annotations

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
from optuna.trial import create_trial
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas.samplers.core._asked import CLAIM
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._decisions import Walked
from optuna_nas.samplers.policy._taken_tree import TakenTree


def tree_of(trials: list[FrozenTrial]) -> TakenTree:
    tree = TakenTree(walked)
    tree.update(trials, current=99)
    return tree


def walked(trial: FrozenTrial) -> Walked:
    decisions = [Decision(name, dist) for name, dist in trial.distributions.items()]
    return [(decision, decision.position(trial.params[decision.name])) for decision in decisions]


def test_tree_of_what_is_taken() -> None:
    a, b = CategoricalDistribution([0, 1, 2]), IntDistribution(0, 1)

    def trial(number: int, params: dict[str, int], state: TrialState) -> FrozenTrial:
        made = create_trial(
            params=params,
            distributions={k: {"a": a, "b": b}[k] for k in params},
            value=0.0,
            system_attrs={CLAIM: ""},  # As every trial that asked a sampler of ours.
        )
        made.number, made.state = number, state
        return made

    done, running, failed = TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL
    first = [trial(0, {"a": 0}, done), trial(1, {"a": 1, "b": 0}, done)]
    ask_a, ask_b = Decision("a", a), Decision("b", b)
    at_one = [(ask_a, 1.0)]
    assert tree_of([]).allowed([], ask_a) is None
    tree = tree_of(first)
    np.testing.assert_array_equal(tree.allowed([], ask_a), [False, True, True])
    np.testing.assert_array_equal(tree.allowed(at_one, ask_b), [False, True])
    assert tree.allowed([(ask_a, 2.0)], ask_b) is None
    # What runs is taken where trials end; where they may go on, nobody knows.
    both = [*first, trial(2, {"a": 1, "b": 1}, running), trial(3, {"a": 2}, running)]
    tree = tree_of(both)
    assert tree.allowed(at_one, ask_b) is None  # Nothing is left: anything may be drawn.
    np.testing.assert_array_equal(tree.allowed([], ask_a), [False, True, False])
    both[2] = trial(2, {"a": 1, "b": 1}, done)
    both[3] = trial(3, {"a": 2}, failed)
    tree.update(both, current=99)
    np.testing.assert_array_equal(tree.allowed([], ask_a), [False, False, True])
