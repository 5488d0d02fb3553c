"""Ways through the decisions of a space."""

from __future__ import annotations

import numpy as np

from optuna_nas import ChainSpace
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.samplers.policy import LstmPolicy
from optuna_nas.samplers.policy import LstmWalk
from optuna_nas.samplers.policy import walk_through


def test_policy_of_a_large_space_walks_within_its_conditions() -> None:
    space = ChainSpace(max_depth=4)
    policy = LstmPolicy(hidden_size=8, seed=0)
    domain = TrialDomain(space.distributions, space, None, fixed={"depth": 3})
    made = walk_through(
        LstmWalk(policy, policy.initial(), 30), 30, domain, np.random.default_rng(0)
    )
    for params, log_probs in made:
        assert params["depth"] == 3
        assert space.contains(space.architecture(params))
        assert set(space.architecture(params)) == set(params) == set(log_probs)
