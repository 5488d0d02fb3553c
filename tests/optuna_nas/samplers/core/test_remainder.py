"""What is left of a small space, and when that is nothing."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import create_trial
from optuna.trial import TrialState

from optuna_nas import CustomSpace
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.samplers.core._remainder import Remainder


SPACE = CustomSpace({"x": IntDistribution(0, 2), "y": IntDistribution(0, 3)})
DOMAIN = TrialDomain(SPACE.distributions, SPACE, None)


def study_of(n: int) -> optuna.Study:
    """Return a study of the first ``n`` architectures of the space."""
    study = optuna.create_study()
    for index in range(n):
        study.add_trial(
            create_trial(
                params=dict(SPACE.architecture_at(index)),
                distributions=dict(SPACE.distributions),
                value=0.0,
            )
        )
    return study


def history_of(n: int) -> History:
    return History.of(study_of(n), SPACE)


def test_all_that_is_left_is_found() -> None:
    history = history_of(7)
    left = {SPACE.architecture_at(index) for index in range(7, 12)}
    found = {
        SPACE.architecture(Remainder().search(history, DOMAIN, np.random.default_rng(seed)) or {})
        for seed in range(60)
    }
    assert found == left


def test_when_nothing_is_left_that_is_remembered() -> None:
    remainder, rng = Remainder(), np.random.default_rng(0)
    history = history_of(12)
    assert not remainder.is_empty(history, DOMAIN)  # Nobody has looked.
    assert remainder.search(history, DOMAIN, rng) is None
    assert remainder.is_empty(history, DOMAIN)
    more = {**SPACE.distributions, "rate": IntDistribution(0, 1)}
    assert not remainder.is_empty(history, TrialDomain(more, SPACE, None))


def test_an_unfinished_trial_that_fails_opens_the_space() -> None:
    study = study_of(11)
    study.enqueue_trial(dict(SPACE.architecture_at(11)))
    running = study.ask(dict(SPACE.distributions))
    remainder, rng = Remainder(), np.random.default_rng(0)
    history = History.of(study, SPACE)
    assert remainder.search(history, DOMAIN, rng) is None
    assert remainder.is_empty(history, DOMAIN)
    study.tell(running, state=TrialState.FAIL)
    opened = History.of(study, SPACE)
    assert not remainder.is_empty(opened, DOMAIN)
    assert remainder.search(opened, DOMAIN, rng) == dict(SPACE.architecture_at(11))


def test_fixed_and_continuous_parameters_are_never_exhausted() -> None:
    rng, history = np.random.default_rng(0), history_of(12)
    fixed = TrialDomain(SPACE.distributions, SPACE, None, fixed={"x": 1})
    assert Remainder().search(history, fixed, rng) is None
    distributions: dict[str, BaseDistribution] = {
        **SPACE.distributions,
        "rate": FloatDistribution(0, 1),
    }
    domain, remainder = TrialDomain(distributions, SPACE, None), Remainder()
    assert remainder.search(history, domain, rng) is not None
    assert not remainder.is_empty(history, domain)


def test_a_large_space_without_conditions_is_not_walked_through() -> None:
    domain = TrialDomain({"x": IntDistribution(0, 10**6)}, None, None)
    history = History.of(optuna.create_study(), None)
    assert Remainder().search(history, domain, np.random.default_rng(0)) is None
