"""The distributions of a policy's choices: a softmax, and a Gaussian squashed to (0, 1)."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor


_LOG_STD = (math.log(0.1), math.log(2.0))
"""Bounds of the logarithm of the Gaussian head's standard deviation."""
_FLAT_STD = 1.6
"""A sigmoid of a Gaussian with this standard deviation is close to uniform on (0, 1)."""


def categorical(scores: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-probability of a choice under a softmax of scores, and the entropy.

    Args:
        scores: Shape ``(..., n_choices)``; minus infinity where there is no such choice.
        choice: Indices of shape ``(...)``.
    """
    log_probs = scores.log_softmax(-1)
    terms = log_probs.exp() * log_probs.masked_fill(log_probs == -math.inf, 0.0)
    return log_probs.gather(-1, choice[..., None])[..., 0], -terms.sum(-1)


def squashed_gaussian(outputs: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-density of sigmoid(z) = ``number``, z Gaussian, and the entropy of z.

    The density of u = sigmoid(z) is N(logit(u); mean, std) / (u (1 - u)) (Haarnoja et al., Soft
    Actor-Critic, ICML 2018, appendix C, there for tanh).

    Args:
        outputs: Mean and unbounded standard deviation, shape ``(..., 2)``.
        number: In (0, 1), shape ``(...)``.
    """
    mean, log_std = gaussian_parameters(outputs)
    z = number.logit()
    log_density = -0.5 * ((z - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)
    jacobian = number.log() + (1 - number).log()
    return log_density - jacobian, log_std + 0.5 * math.log(2 * math.pi * math.e)


def gaussian_parameters(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log standard deviation, which is bounded to 0.1 to 2."""
    low, high = _LOG_STD
    return outputs[..., 0], low + (high - low) * outputs[..., 1].sigmoid()


def flat_gaussian() -> np.ndarray:
    """Return the outputs for which sigmoid(z) is close to uniform, of shape ``(2,)``."""
    low, high = _LOG_STD
    share = (math.log(_FLAT_STD) - low) / (high - low)
    return np.array([0.0, math.log(share / (1 - share))])


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return the logarithm of the softmax over the last axis."""
    shifted = scores - scores.max(-1, keepdims=True)
    log_probs: np.ndarray = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return log_probs


def draw_choices(
    log_probs: np.ndarray, rng: np.random.Generator, allowed: np.ndarray | None = None
) -> np.ndarray:
    """Draw one index for each row of log-probabilities.

    Args:
        log_probs: Shape ``(n, n_choices)``.
        rng: Random generator.
        allowed: If given, booleans of shape ``(n_choices,)``: what may be drawn.

    Returns:
        Indices of shape ``(n,)``.
    """
    shares = np.exp(log_probs)
    if allowed is not None:
        shares = np.where(allowed, np.maximum(shares, 1e-300), 0.0)
    cumulative = shares.cumsum(1)
    below: np.ndarray = cumulative <= rng.random((len(shares), 1)) * cumulative[:, -1:]
    drawn: np.ndarray = np.minimum(below.sum(1), shares.shape[1] - 1)
    return drawn


def draw_numbers(outputs: Tensor, rng: np.random.Generator) -> np.ndarray:
    """Draw sigmoid(z) in (0, 1) for each row of outputs ``(n, 2)``; shape ``(n,)``."""
    mean, log_std = gaussian_parameters(outputs)
    z = mean.numpy() + log_std.exp().numpy() * rng.standard_normal(len(mean))
    numbers: np.ndarray = np.clip(1 / (1 + np.exp(-z)), 1e-6, 1 - 1e-6)
    return numbers
