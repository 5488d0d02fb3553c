"""Regularized evolution: the oldest dies, and the best of a sample is the parent."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.trial import create_trial
import pytest

from optuna_nas import CustomSpace
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import TrialDomain


SPACE = CustomSpace({f"x_{i}": IntDistribution(0, 99) for i in range(4)})
DOMAIN = TrialDomain(SPACE.distributions, SPACE, None)


def history_of(*values: float) -> History:
    """Return a history of trials; trial ``i`` has the parameters ``i``, ``i``, ``i``, ``i``."""
    study = optuna.create_study()
    for number, value in enumerate(values):
        study.add_trial(
            create_trial(
                params=dict.fromkeys(SPACE.distributions, number),
                distributions=dict(SPACE.distributions),
                value=value,
            )
        )
    return History.of(study, SPACE)


def parent_of(sampler: RegularizedEvolutionSampler, history: History, seed: int) -> int:
    """Return the number of the trial of which a proposal is a copy with one change."""
    proposed = list(sampler.propose(history, DOMAIN, np.random.default_rng(seed)).values())
    parent = max(set(proposed), key=proposed.count)
    assert proposed.count(parent) == 3
    return int(parent)


def test_the_parent_is_the_best_of_the_living() -> None:
    sampler = RegularizedEvolutionSampler(population_size=3, sample_size=3, space=SPACE)
    assert {parent_of(sampler, history_of(5, 1, 3), seed) for seed in range(20)} == {1}
    # The best has died of age; of the living, trial 3 is the best.
    assert {parent_of(sampler, history_of(5, 1, 3, 2, 9), seed) for seed in range(20)} == {3}


def test_a_smaller_sample_chooses_others_too() -> None:
    sampler = RegularizedEvolutionSampler(population_size=3, sample_size=2, space=SPACE)
    parents = [parent_of(sampler, history_of(5, 1, 3), seed) for seed in range(300)]
    # The best is in two of three samples of two; the worst is never the best of one.
    assert parents.count(1) / 300 == pytest.approx(2 / 3, abs=0.08)
    assert parents.count(0) == 0


def test_the_first_population_is_random() -> None:
    sampler = RegularizedEvolutionSampler(population_size=3, sample_size=3, space=SPACE)
    rng = np.random.default_rng(0)
    proposed = sampler.propose(history_of(1, 2), DOMAIN, rng)
    assert len(set(proposed.values())) > 2  # A mutated copy would have two.


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"population_size": 1}, "`population_size` to be at least 2 but got 1"),
        ({"sample_size": 0}, r"`sample_size` to be in \[1, 10\] but got 0"),
        ({"population_size": 5, "sample_size": 6}, r"`sample_size` to be in \[1, 5\] but got 6"),
    ],
)
def test_wrong_arguments(kwargs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RegularizedEvolutionSampler(**kwargs)
