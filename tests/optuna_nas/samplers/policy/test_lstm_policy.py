"""The LSTM policy: probabilities of whole architectures, alone and in batches."""

from __future__ import annotations

from collections import Counter
import math

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest
import torch

from optuna_nas import CustomSpace
from optuna_nas.prior import Prior
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.samplers.policy import Decision
from optuna_nas.samplers.policy import encode
from optuna_nas.samplers.policy import LstmPolicy
from optuna_nas.samplers.policy import LstmWalk
from optuna_nas.samplers.policy import PolicyState
from optuna_nas.samplers.policy import walk_through
from optuna_nas.samplers.policy import Walked


MIXED = CustomSpace(
    {
        "depth": IntDistribution(1, 3),
        **{f"kernel_{i}": CategoricalDistribution([3, 5, 7, 9]) for i in (1, 2, 3)},
    },
    active_if={f"kernel_{i}": lambda params, i=i: params["depth"] >= i for i in (2, 3)},
)
RATE = FloatDistribution(1e-5, 1e-1, log=True)


def trained(policy: LstmPolicy, decisions: list[Decision]) -> PolicyState:
    """Return a state that is far from the first one."""
    state = policy.extended(policy.initial(), decisions)
    generator = torch.Generator().manual_seed(0)
    noisy = {
        k: v + 0.5 * torch.randn(v.shape, generator=generator, dtype=torch.float64)
        for k, v in state.tensors.items()
    }
    return PolicyState(state.decisions, noisy)


DECISIONS = [Decision(k, v) for k, v in {**MIXED.distributions, "rate": RATE}.items()]


def test_walking_and_batches_agree_on_probabilities() -> None:
    policy = LstmPolicy(hidden_size=7, seed=0)
    state = trained(policy, DECISIONS)
    domain = TrialDomain({**MIXED.distributions, "rate": RATE}, MIXED, None)
    rng = np.random.default_rng(0)
    made = walk_through(LstmWalk(policy, state, 40), 40, domain, rng)
    assert len({len(params) for params, _ in made}) == 3
    walks: list[Walked] = []
    for params, _ in made:
        known = [decision for decision in DECISIONS if decision.name in params]
        walks.append([(d, d.position(params[d.name])) for d in known])
    batch = encode(state.decisions, walks)
    output = policy(state, state.tensors, batch)
    for k, (params, log_probs) in enumerate(made):
        n = len(params)
        np.testing.assert_allclose(
            output.log_probs[:n, k].numpy(), list(log_probs.values()), rtol=1e-6, atol=1e-6
        )
        assert not output.log_probs[n:, k].any()
        assert not output.entropies[n:, k].any()
        assert not output.values[n:, k].any()


def test_probabilities_of_all_architectures_sum_to_one() -> None:
    policy = LstmPolicy(hidden_size=7, seed=0)
    state = trained(policy, DECISIONS)
    walks: list[Walked] = []
    for i in range(MIXED.size):
        params = MIXED.architecture_at(i)
        decisions = [Decision(name, MIXED.distributions[name]) for name in params]
        walks.append([(d, d.position(params[d.name])) for d in decisions])
    log_probs = policy(state, state.tensors, encode(state.decisions, walks)).log_probs.sum(0)
    assert log_probs.exp().sum().item() == pytest.approx(1)
    rng = np.random.default_rng(0)
    domain = TrialDomain(MIXED.distributions, MIXED, None)
    made = walk_through(LstmWalk(policy, state, 20_000), 20_000, domain, rng)
    counts = Counter(MIXED.architecture(params) for params, _ in made)
    shares = [counts[MIXED.architecture_at(i)] / 20_000 for i in range(MIXED.size)]
    np.testing.assert_allclose(shares, log_probs.exp().numpy(), atol=0.012)


def test_first_policy_is_close_to_uniform_and_to_the_prior() -> None:
    rng = np.random.default_rng(0)
    kernel = Decision("kernel_1", MIXED.distributions["kernel_1"])
    plain = LstmPolicy(hidden_size=32, seed=0)
    log_probs = LstmWalk(plain, plain.initial(), 1).step(kernel, rng, given=2)[1]
    assert math.exp(log_probs[0]) == pytest.approx(0.25, abs=0.03)
    prior = Prior(MIXED, {"kernel_1": [0, 0, 1, 0]}, floor=0.2)
    guided = LstmPolicy(hidden_size=32, seed=0, prior=prior)
    state = guided.extended(guided.initial(), [kernel])
    log_probs = LstmWalk(guided, state, 1).step(kernel, rng, given=2)[1]
    assert math.exp(log_probs[0]) == pytest.approx(0.85, abs=0.03)
    rates = LstmWalk(plain, plain.initial(), 4000).step(Decision("rate", RATE), rng)[0]
    quarters = np.histogram(rates, bins=4, range=(0, 1))[0] / 4000
    np.testing.assert_allclose(quarters, 0.25, atol=0.05)
