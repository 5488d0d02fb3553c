"""The losses against hand-computed values, and their gradients against the exact ones."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
import pytest
import torch
from torch import Tensor

from optuna_nas import CustomSpace
from optuna_nas.samplers.policy import Decision
from optuna_nas.samplers.policy import encode
from optuna_nas.samplers.policy import losses
from optuna_nas.samplers.policy import LstmPolicy
from optuna_nas.samplers.policy import PolicyOutput
from optuna_nas.samplers.policy import Walked


def tensor(*values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# Two trials of two and one steps.
LOG_PROBS = tensor([-1.0, -2.0], [-0.5, 0.0])
MASK = tensor([1.0, 1.0], [1.0, 0.0])
REWARDS = tensor(1.0, -0.5)


def test_reinforce_by_hand() -> None:
    # -((-1.5)(1 - 0.2) + (-2)(-0.5 - 0.2)) / 2
    assert losses.reinforce_loss(LOG_PROBS, REWARDS, 0.2).item() == pytest.approx(-0.1)


def test_entropy_by_hand() -> None:
    assert losses.entropy_loss(tensor([0.5, 0.25], [0.1, 0.0])).item() == pytest.approx(-0.425)


def test_clipped_surrogate_by_hand() -> None:
    ratios = tensor([1.5, 0.5], [0.9, 1.0])
    advantages = tensor([2.0, -1.0], [2.0, 0.0])
    # Trial 1: min(3, 1.2 * 2) + min(1.8, 1.8); trial 2: min(-0.5, 0.8 * -1).
    loss = losses.clipped_surrogate_loss(LOG_PROBS + ratios.log(), LOG_PROBS, advantages, 0.2)
    assert loss.item() == pytest.approx(-(2.4 + 1.8 - 0.8) / 2)


@pytest.mark.parametrize(
    ("lambda_", "expected"),
    [
        (1.0, [[0.7, -0.9], [0.4, 0.0]]),  # R - V_t
        (0.0, [[0.3, -0.9], [0.4, 0.0]]),  # V_t+1 - V_t, and R - V_T at the end
        (0.5, [[0.3 + 0.5 * 0.4, -0.9], [0.4, 0.0]]),
    ],
)
def test_advantages_by_hand(lambda_: float, expected: list[list[float]]) -> None:
    values = tensor([0.3, 0.4], [0.6, 0.0])
    advantages = losses.generalized_advantages(values, REWARDS, MASK, lambda_)
    np.testing.assert_allclose(advantages.numpy(), expected)


def test_actor_and_critic_by_hand() -> None:
    values = tensor([0.3, 0.4], [0.6, 0.0])
    advantages = tensor([0.7, -0.9], [0.4, 0.0]).requires_grad_()
    loss = losses.policy_gradient_loss(LOG_PROBS, advantages)
    assert loss.item() == pytest.approx(-(-0.7 - 0.2 + 1.8) / 2)
    assert not loss.requires_grad
    critic = losses.value_loss(values, REWARDS, MASK)
    assert critic.item() == pytest.approx(0.5 * (0.49 + 0.81 + 0.16) / 3)


def test_ddpg_by_hand() -> None:
    target = losses.q_target(tensor(0.5, 0.5), tensor(0.0, 1.0), tensor(2.0, 2.0))
    np.testing.assert_allclose(target.numpy(), [2.5, 0.5])
    assert losses.critic_loss(tensor(2.0, 1.0), target).item() == pytest.approx(0.25)
    assert losses.deterministic_policy_loss(tensor(1.0, 3.0)).item() == -2.0
    moved = losses.soft_update(tensor(1.0), tensor(3.0), 0.25)
    assert moved.item() == 1.5


def test_moving_average() -> None:
    assert losses.moving_average(None, 0.4, 0.9) == 0.4
    assert losses.moving_average(1.0, 0.0, 0.9) == pytest.approx(0.9)


SPACE = CustomSpace(
    {
        "depth": IntDistribution(1, 2),
        "first": CategoricalDistribution(["a", "b", "c"]),
        "second": CategoricalDistribution(["a", "b", "c"]),
    },
    active_if={"second": lambda params: params["depth"] == 2},
)
POLICY = LstmPolicy(hidden_size=5, seed=3)


def walks() -> list[Walked]:
    found: list[Walked] = []
    for i in range(SPACE.size):
        params = SPACE.architecture_at(i)
        decisions = [Decision(name, SPACE.distributions[name]) for name in params]
        found.append([(d, d.position(params[d.name])) for d in decisions])
    return found


WALKS = walks()
STATE = POLICY.extended(POLICY.initial(), (d for walk in WALKS for d, _ in walk))
GENERATOR = torch.Generator().manual_seed(0)


# Larger weights than the first ones, so that the policy is far from uniform.
TENSORS = {
    k: 3 * v + torch.randn(v.shape, generator=GENERATOR, dtype=torch.float64) * 0.3
    for k, v in STATE.tensors.items()
}
SCORES = torch.rand(SPACE.size, generator=GENERATOR, dtype=torch.float64)


def output_and_weights() -> tuple[PolicyOutput, list[Tensor]]:
    leaves = {k: v.detach().requires_grad_() for k, v in TENSORS.items()}
    return POLICY(STATE, leaves, encode(STATE.decisions, WALKS)), list(leaves.values())


def gradient(loss: Tensor, leaves: list[Tensor]) -> np.ndarray:
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return np.concatenate(
        [
            np.zeros(leaf.numel()) if g is None else g.numpy().reshape(-1)
            for leaf, g in zip(leaves, found, strict=True)
        ]
    )


def exact_gradient() -> np.ndarray:
    """Return the gradient of the expected score."""
    output, leaves = output_and_weights()
    return gradient((output.log_probs.sum(0).exp() * SCORES).sum(), leaves)


def reinforce(output: PolicyOutput) -> Iterator[Tensor]:
    for k in range(SPACE.size):
        yield losses.reinforce_loss(output.log_probs[:, [k]], SCORES[[k]], 0.7)


def surrogate(output: PolicyOutput) -> Iterator[Tensor]:
    for k in range(SPACE.size):
        now = output.log_probs[:, [k]]
        advantages = (SCORES[k] - 0.7) * torch.ones_like(now)
        yield losses.clipped_surrogate_loss(now, now.detach(), advantages, 0.2)


def actor(output: PolicyOutput) -> Iterator[Tensor]:
    mask = encode(STATE.decisions, WALKS).mask
    values = output.values.detach()  # Any function of the steps before is a valid baseline.
    for k in range(SPACE.size):
        advantages = losses.generalized_advantages(values[:, [k]], SCORES[[k]], mask[:, [k]], 1.0)
        yield losses.policy_gradient_loss(output.log_probs[:, [k]], advantages)


@pytest.mark.parametrize("terms", [reinforce, surrogate, actor])
def test_expected_gradient_is_the_exact_policy_gradient(
    terms: Callable[[PolicyOutput], Iterator[Tensor]],
) -> None:
    output, leaves = output_and_weights()
    probabilities = output.log_probs.sum(0).exp().detach()
    assert probabilities.sum().item() == pytest.approx(1)
    assert probabilities.max() > 3 * probabilities.min()
    expected_loss = (probabilities * torch.stack(list(terms(output))).reshape(-1)).sum()
    exact = exact_gradient()
    assert abs(exact).max() > 1e-3
    np.testing.assert_allclose(-gradient(expected_loss, leaves), exact, atol=1e-12)


def test_importance_weights_correct_for_another_policy() -> None:
    output, leaves = output_and_weights()
    now = output.log_probs.sum(0)
    behaviour = torch.full_like(now, -float(np.log(SPACE.size)))  # Uniform over architectures.
    inside = (now - behaviour).exp().detach() < 2
    # Each architecture counts equally often; those whose weight would be clipped are left out.
    loss = losses.clipped_surrogate_loss(
        now[None, inside], behaviour[None, inside], SCORES[None, inside], 1 - 1e-9
    )
    found = -gradient(loss * inside.sum() / SPACE.size, leaves)
    output, leaves = output_and_weights()
    exact = gradient((output.log_probs.sum(0).exp() * SCORES)[inside].sum(), leaves)
    np.testing.assert_allclose(found, exact, atol=1e-12)
