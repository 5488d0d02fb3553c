"""The losses of the controllers as pure functions; each reads like its equation.

Shapes: ``n`` trials (episodes) of up to ``t`` decisions (steps). Tensors of steps are ``(t, n)``
and 0 where a trial has no such step; the reward comes after the last step, without discount.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reinforce_loss(log_probs: Tensor, rewards: Tensor, baseline: float) -> Tensor:
    """Return the REINFORCE loss, whose gradient is minus the policy gradient's estimate.

    ``-1/n sum_k sum_t log pi(a_t | a_1..a_t-1) (R_k - b)``; Zoph & Le, Neural Architecture Search
    with Reinforcement Learning, ICLR 2017, section 3.2; Williams 1992.

    Args:
        log_probs: Log-probabilities of the choices, shape ``(t, n)``.
        rewards: Shape ``(n,)``.
        baseline: Moving average of earlier rewards.
    """
    return -(log_probs.sum(0) * (rewards - baseline)).mean()


def entropy_loss(entropies: Tensor) -> Tensor:
    """Return minus the mean entropy of the trials' steps, in nats.

    ``-1/n sum_k sum_t H(pi(. | a_1..a_t-1))``; Williams & Peng, Function optimization using
    connectionist reinforcement learning algorithms, 1991.

    Args:
        entropies: Shape ``(t, n)``.
    """
    return -entropies.sum(0).mean()


def clipped_surrogate_loss(
    log_probs: Tensor, behaviour_log_probs: Tensor, advantages: Tensor, epsilon: float
) -> Tensor:
    """Return the clipped surrogate loss of PPO.

    ``-1/n sum_k sum_t min(r A, clip(r, 1 - epsilon, 1 + epsilon) A)`` with the importance weight
    ``r = pi / pi_behaviour``; Schulman et al., Proximal Policy Optimization Algorithms, 2017,
    equation 7.

    Args:
        log_probs: Log-probabilities under the policy that learns, shape ``(t, n)``.
        behaviour_log_probs: The same under the policy that proposed the trial.
        advantages: Shape ``(t, n)``; 0 where there is no step.
        epsilon: In (0, 1).
    """
    ratio = (log_probs - behaviour_log_probs).exp()
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
    return -torch.minimum(ratio * advantages, clipped * advantages).sum(0).mean()


def generalized_advantages(
    values: Tensor, rewards: Tensor, mask: Tensor, lambda_: float
) -> Tensor:
    """Return the generalised advantage estimates, one for each step.

    ``A_t = sum_l lambda^l delta_t+l`` with ``delta_t = V_t+1 - V_t`` and, at the last step,
    ``delta_T = R - V_T``; Schulman et al., High-dimensional continuous control using generalized
    advantage estimation, ICLR 2016, equation 16 with gamma = 1.

    Args:
        values: Expected reward before each step, shape ``(t, n)``.
        rewards: Shape ``(n,)``.
        mask: 1 for the steps of a trial, shape ``(t, n)``; a trial's steps come first.
        lambda_: In [0, 1]; 1 gives ``R - V_t``.

    Returns:
        Shape ``(t, n)``, 0 where there is no step.
    """
    advantages = torch.zeros_like(values)
    following = rewards  # What the next step expects; the reward itself after the last one.
    ahead = torch.zeros_like(rewards)
    for t in reversed(range(len(values))):
        ahead = mask[t] * (following - values[t] + lambda_ * ahead)
        following = torch.where(mask[t] > 0, values[t], following)
        advantages[t] = ahead
    return advantages


def policy_gradient_loss(log_probs: Tensor, advantages: Tensor) -> Tensor:
    """Return the actor's loss.

    ``-1/n sum_k sum_t log pi(a_t) A_t``; Mnih et al., Asynchronous Methods for Deep Reinforcement
    Learning, ICML 2016, section 4 (A3C).

    Args:
        log_probs: Shape ``(t, n)``.
        advantages: Shape ``(t, n)``; no gradient flows through them.
    """
    return -(log_probs * advantages.detach()).sum(0).mean()


def value_loss(values: Tensor, rewards: Tensor, mask: Tensor) -> Tensor:
    """Return the critic's loss, half the mean squared error over the steps.

    ``1/2 (R - V_t)^2``; Mnih et al. 2016, section 4, with the undiscounted return.

    Args:
        values: Shape ``(t, n)``.
        rewards: Shape ``(n,)``.
        mask: 1 for the steps of a trial, shape ``(t, n)``.
    """
    return 0.5 * (mask * (rewards - values) ** 2).sum() / mask.sum()


def q_target(rewards: Tensor, is_last: Tensor, next_q: Tensor) -> Tensor:
    """Return what the critic of DDPG should say.

    ``y = r + Q'(s', mu'(s'))``, and ``y = r`` at the last step; Lillicrap et al., Continuous
    control with deep reinforcement learning, ICLR 2016, algorithm 1, with gamma = 1 as in He et
    al., AMC: AutoML for Model Compression, ECCV 2018, section 3.2.

    Args:
        rewards: Reward of each transition, shape ``(n,)``.
        is_last: 1 at the last step of a trial, shape ``(n,)``.
        next_q: The target critic's value of the next state, shape ``(n,)``.
    """
    return rewards + (1 - is_last) * next_q.detach()


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of DDPG's critic (Lillicrap et al. 2016, algorithm 1).

    Args:
        q: Shape ``(n,)``.
        target: Shape ``(n,)``.
    """
    return ((target.detach() - q) ** 2).mean()


def deterministic_policy_loss(q: Tensor) -> Tensor:
    """Return minus the mean value of the actor's actions (Lillicrap et al. 2016, equation 6).

    Args:
        q: ``Q(s, mu(s))``, shape ``(n,)``.
    """
    return -q.mean()


def soft_update(target: Tensor, online: Tensor, tau: float) -> Tensor:
    """Return ``tau online + (1 - tau) target`` (Lillicrap et al. 2016, algorithm 1)."""
    return tau * online + (1 - tau) * target


def moving_average(average: float | None, value: float, decay: float) -> float:
    """Return ``decay average + (1 - decay) value``; the value itself at the start."""
    return value if average is None else decay * average + (1 - decay) * value
