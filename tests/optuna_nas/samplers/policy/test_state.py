"""What a controller has learned, as one value."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import torch

from optuna_nas import CustomSpace
from optuna_nas.samplers.policy import Decision
from optuna_nas.samplers.policy import LstmPolicy
from optuna_nas.samplers.policy._state import rounded


MIXED = CustomSpace(
    {
        "depth": IntDistribution(1, 3),
        **{f"kernel_{i}": CategoricalDistribution([3, 5, 7, 9]) for i in (1, 2, 3)},
    },
    active_if={f"kernel_{i}": lambda params, i=i: params["depth"] >= i for i in (2, 3)},
)
RATE = FloatDistribution(1e-5, 1e-1, log=True)
DECISIONS = [Decision(k, v) for k, v in {**MIXED.distributions, "rate": RATE}.items()]


def test_decisions_are_known_once_and_in_any_order() -> None:
    policy = LstmPolicy(hidden_size=4, seed=0)
    state = policy.extended(policy.initial(), [*DECISIONS, *DECISIONS])
    assert state.decisions == tuple(DECISIONS)
    assert state.tensors["decision"].shape == (5, 4)
    assert state.tensors["choice"].shape == (3 + 3 * 4 + 2, 4)
    assert policy.extended(state, DECISIONS) is state
    parts = policy.extended(policy.extended(policy.initial(), DECISIONS[3:]), DECISIONS)
    rows = {d.key: i for i, d in enumerate(parts.decisions)}
    order = [rows[decision.key] for decision in DECISIONS]
    assert torch.equal(parts.tensors["decision"][order], state.tensors["decision"])


def test_rounding_removes_the_last_bits() -> None:
    value = torch.tensor([1 / 3, 1 / 3 + 1e-15, 2.0], dtype=torch.float64)
    once = rounded({"x": value})["x"]
    assert once[0] == once[1]
    assert torch.equal(rounded({"x": once})["x"], once)
    assert once.dtype == torch.float64
