"""Studies that begin with what a prior thinks likely."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.trial import create_trial
import pytest

from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import GeneticSampler
from optuna_nas.prior import Prior
from optuna_nas.prior import warm_start


CELL = CellSpace()
ALMOST = Prior(CELL, {name: [0, 0, 1, 8, 1] for name in CELL.distributions}, floor=0.0)


@pytest.mark.parametrize(
    "sampler",
    [
        optuna.samplers.RandomSampler(seed=0),
        optuna.samplers.TPESampler(seed=0),
        optuna.samplers.NSGAIISampler(seed=0),
        GeneticSampler(seed=0, space=CELL),
    ],
)
def test_first_trials_are_those_of_the_prior(sampler: Any) -> None:
    study = optuna.create_study(sampler=sampler)
    found = warm_start(study, CELL, ALMOST, 6, seed=1)
    assert set(found[0].values()) == {"nor_conv_3x3"}
    assert len({CELL.canonical_key(architecture) for architecture in found}) == 6
    study.optimize(lambda trial: float(len(set(CELL.suggest(trial).values()))), n_trials=8)
    assert [trial.params for trial in study.trials[:6]] == [dict(a) for a in found]
    choices = [choice for a in found for choice in a.values()]
    assert set(choices) <= {"nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3"}
    assert choices.count("nor_conv_3x3") > 24


def test_what_the_study_has_is_not_enqueued_again() -> None:
    study = optuna.create_study()
    study.add_trial(
        create_trial(
            params=dict(ALMOST.most_likely()), distributions=dict(CELL.distributions), value=1.0
        )
    )
    first = warm_start(study, CELL, ALMOST, 3, seed=0)
    again = warm_start(study, CELL, ALMOST, 3, seed=0)
    keys = {CELL.canonical_key(a) for a in [ALMOST.most_likely(), *first, *again]}
    assert len(keys) == 7


def test_narrow_prior_gives_what_it_has() -> None:
    certain = Prior(CELL, {name: [0, 0, 0, 1, 0] for name in CELL.distributions}, floor=0.0)
    study = optuna.create_study()
    assert len(warm_start(study, CELL, certain, 5)) == 1


def test_same_seed_same_architectures() -> None:
    found = [warm_start(optuna.create_study(), CELL, ALMOST, 4, seed=3) for _ in range(2)]
    assert found[0] == found[1]


def test_arguments() -> None:
    study = optuna.create_study()
    with pytest.raises(ValueError, match="`n` to be at least 1 but got 0"):
        warm_start(study, CELL, ALMOST, 0)
    with pytest.raises(ValueError, match="`prior` to be of search space `chain`"):
        warm_start(study, ChainSpace(), ALMOST, 1)
