"""DDPG's actor: what it sees, and its noise."""

from __future__ import annotations

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest
import torch

from optuna_nas import CustomSpace
from optuna_nas.samplers.policy import Decision
from optuna_nas.samplers.policy import encode
from optuna_nas.samplers.policy import LstmPolicy
from optuna_nas.samplers.policy._actor import transitions_of
from optuna_nas.samplers.policy._actor import truncated_normal


MIXED = CustomSpace(
    {
        "depth": IntDistribution(1, 3),
        **{f"kernel_{i}": CategoricalDistribution([3, 5, 7, 9]) for i in (1, 2, 3)},
    },
    active_if={f"kernel_{i}": lambda params, i=i: params["depth"] >= i for i in (2, 3)},
)
RATE = FloatDistribution(1e-5, 1e-1, log=True)
DECISIONS = [Decision(k, v) for k, v in {**MIXED.distributions, "rate": RATE}.items()]


def test_states_hold_the_position_and_the_choices_before() -> None:
    policy = LstmPolicy(hidden_size=4, seed=0)
    state = policy.extended(policy.initial(), DECISIONS)
    depth, first, second, _, rate = DECISIONS
    walks = [
        [(depth, 1.0), (first, 0.0), (second, 3.0), (rate, 0.9)],
        [(depth, 0.0), (first, 2.0)],
    ]
    batch = encode(state.decisions, walks)
    found = transitions_of(state, batch, torch.tensor([0.5, -1.0], dtype=torch.float64))
    assert found.states.shape == (6, 15)
    by_trial = {0: [0, 2, 4, 5], 1: [1, 3]}  # Step by step, the trials side by side.
    np.testing.assert_allclose(found.actions[by_trial[0]], [0.5, 0.125, 0.875, 0.9])
    np.testing.assert_allclose(found.rewards[by_trial[1]], -1.0)
    assert found.is_last.tolist() == [0, 0, 0, 1, 0, 1]
    last = found.states[5].reshape(5, 3)  # Rows: decisions; columns: here, made, action.
    np.testing.assert_allclose(
        last, [[0, 1, 0.0], [0, 1, -0.75], [0, 1, 0.75], [0, 0, 0], [1, 0, 0]], atol=1e-12
    )
    np.testing.assert_allclose(found.next_states[4], found.states[5])
    np.testing.assert_allclose(found.next_states[1], found.states[3])


def test_truncated_normal() -> None:
    rng = np.random.default_rng(0)
    drawn = truncated_normal(np.full(20_000, 0.9), np.full(20_000, 0.5), rng)
    assert (drawn >= 0).all()
    assert (drawn <= 1).all()
    z = (np.arange(20_000) + 0.5) / 20_000
    density = np.exp(-0.5 * ((z - 0.9) / 0.5) ** 2)
    assert drawn.mean() == pytest.approx((z * density).sum() / density.sum(), abs=0.01)
    assert truncated_normal(np.array([0.3]), np.array([0.0]), rng) == 0.3
