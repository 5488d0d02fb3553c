"""Random search: uniform over architectures, and from a prior."""

from __future__ import annotations

from collections import Counter

import numpy as np
import optuna
from optuna.distributions import IntDistribution
from scipy.stats import chisquare

from optuna_nas import CustomSpace
from optuna_nas.prior import Prior
from optuna_nas.samplers import RandomArchitectureSampler
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import TrialDomain


# One architecture of depth 1, four of depth 2.
SPACE = CustomSpace(
    {"depth": IntDistribution(1, 2), "width": IntDistribution(1, 4)},
    active_if={"width": lambda params: params["depth"] == 2},
)


def counts(sampler: RandomArchitectureSampler, prior: Prior | None = None) -> Counter[str]:
    history = History.of(optuna.create_study(), SPACE)
    domain = TrialDomain(SPACE.distributions, SPACE, prior)
    rng = np.random.default_rng(0)
    drawn = (SPACE.architecture(sampler.propose(history, domain, rng)) for _ in range(1000))
    return Counter(map(SPACE.to_string, drawn))


def test_architectures_are_equally_likely() -> None:
    found = counts(RandomArchitectureSampler(space=SPACE))
    assert len(found) == 5
    assert chisquare(list(found.values())).pvalue > 1e-3


def test_a_prior_is_drawn_from() -> None:
    prior = Prior(SPACE, {"depth": [1, 3], "width": [1, 0, 0, 0]}, floor=0)
    found = counts(RandomArchitectureSampler(space=SPACE, prior=prior), prior)
    assert found.keys() == {"depth=1", "depth=2,width=1"}
    assert abs(found["depth=1"] / 1000 - 0.25) < 0.05


def test_architectures_are_equally_likely_in_what_is_left() -> None:
    """Also where the first draw was taken: a proposal that gives way is drawn anew."""
    last = Counter[str]()
    for seed in range(200):
        study = optuna.create_study(sampler=RandomArchitectureSampler(space=SPACE, seed=seed))
        study.optimize(lambda trial: len(SPACE.suggest(trial)), n_trials=5)
        texts = [SPACE.to_string(SPACE.architecture(trial.params)) for trial in study.trials]
        assert len(set(texts)) == 5
        last[texts[-1]] += 1
    assert chisquare([last[SPACE.to_string(SPACE.architecture_at(i))] for i in range(5)])[1] > 1e-3
