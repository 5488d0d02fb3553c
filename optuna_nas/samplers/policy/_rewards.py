"""From the values of trials to rewards: plain callables of the outcomes so far."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outcomes:
    """The feasible completed trials that are known when a block is learned.

    Args:
        values: Objective values as the study holds them, in the order of the trial numbers, of
            shape ``(n, n_objectives)``; no NaN, infinity allowed.
        maximize: Which objectives are maximised, booleans of shape ``(n_objectives,)``.
        n_new: How many rows at the end belong to the block that is being learned.
        block: Index of that block, from 0.
    """

    values: np.ndarray
    maximize: np.ndarray
    n_new: int
    block: int


Reward = Callable[[Outcomes], np.ndarray]
"""``reward(outcomes)`` returns the rewards of the last ``n_new`` rows, shape ``(n_new,)``."""
Scalarization = Callable[[Outcomes], np.ndarray]
"""``scalarization(outcomes)`` returns one number for every row, more is better, ``(n,)``."""


@dataclass(frozen=True)
class RankReward:
    """The rank of a trial among the last ones, scaled to [-1, 1].

    A reward is -1 for the worst and 1 for the best of the last ``window`` trials, equal values
    have equal rewards. So the reward does not depend on the scale of the objective, outliers do
    no harm, and it keeps telling trials apart when all of them have become good.

    Args:
        scalarization: Brings several objectives to one number; by default
            :class:`ChebyshevScalarization`. With one objective it may be :obj:`None`.
        window: How many of the last trials are compared, those of the block included. At least a
            whole block is.

    Raises:
        ValueError: If ``window`` is less than 1.
    """

    scalarization: Scalarization | None = None
    window: int = 100

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"Expected argument `window` to be at least 1 but got {self.window}.")

    def __call__(self, outcomes: Outcomes) -> np.ndarray:
        """Return the rewards of the block's trials."""
        scores = (self.scalarization or _default_scalarization)(outcomes)
        recent = scores[-max(self.window, outcomes.n_new) :]
        if len(recent) < 2:
            return np.zeros(outcomes.n_new)
        ordered = np.sort(recent)
        new = recent[len(recent) - outcomes.n_new :]
        below, up_to = (np.searchsorted(ordered, new, side) for side in ("left", "right"))
        ranks = (below + up_to - 1) / 2  # From 0; the middle of equal ones.
        rewards: np.ndarray = 2 * ranks / (len(recent) - 1) - 1
        return rewards


def _default_scalarization(outcomes: Outcomes) -> np.ndarray:
    if outcomes.values.shape[1] > 1:
        return ChebyshevScalarization()(outcomes)
    return _gains(outcomes)[:, 0]


def _gains(outcomes: Outcomes) -> np.ndarray:
    gains: np.ndarray = np.where(outcomes.maximize, outcomes.values, -outcomes.values)
    return gains


_MOST_COMPARED = 100
"""Infeasible trials among which the violations of a block are ranked."""


def penalties(violations: Sequence[float], n_new: int) -> np.ndarray:
    """Return how much below the floor reward infeasible trials are.

    Feasible trials come before infeasible ones, and these by how far they break the constraints
    (Deb, An efficient constraint handling method for genetic algorithms, 2000, section 2).

    Args:
        violations: Violations above 0 of the infeasible trials so far, by trial number.
        n_new: How many at the end belong to the block that is being learned.

    Returns:
        For these, the share of the last 100 infeasible trials that break the constraints less, in
        [0, 1], of shape ``(n_new,)``.
    """
    recent = np.array(violations[-max(_MOST_COMPARED, n_new) :], dtype=float)
    new = recent[len(recent) - n_new :]
    below: np.ndarray = np.searchsorted(np.sort(recent), new) / max(len(recent) - 1, 1)
    return below


@dataclass(frozen=True)
class ChebyshevScalarization:
    """The augmented weighted Chebyshev distance to the best values, with weights per block.

    ``max_i w_i f_i + rho sum_i w_i f_i`` with each objective scaled to [0, 1] over the trials so
    far (Knowles, ParEGO, IEEE TEC 2006, section II-B). The weights are uniform over the simplex
    and change from block to block, so that the search moves along the Pareto front; they are the
    same in every process.

    Args:
        rho: Weight of the sum.
        seed: Seed of the weights.
    """

    rho: float = 0.05
    seed: int = 0

    def __call__(self, outcomes: Outcomes) -> np.ndarray:
        """Return minus the distance for every row, shape ``(n,)``."""
        losses = _finite(-_gains(outcomes))
        low, high = losses.min(0), losses.max(0)
        scaled = (losses - low) / np.where(high > low, high - low, 1.0)
        rng = np.random.default_rng([self.seed, outcomes.block])
        weighted = scaled * rng.dirichlet(np.ones(losses.shape[1]))
        score: np.ndarray = -(weighted.max(1) + self.rho * weighted.sum(1))
        return score


def _finite(losses: np.ndarray) -> np.ndarray:
    """Replace infinite entries by the extremes of the finite ones in their column."""
    finite = losses.copy()
    for column in finite.T:
        known = column[np.isfinite(column)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
        np.clip(column, low, high, out=column)
    return finite


@dataclass(frozen=True)
class MnasNetScalarization:
    """Quality times (latency / target)^exponent, the soft trade-off of MnasNet.

    Source: Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile, CVPR 2019,
    equations 2 and 3; ``exponent`` -0.07 means that twice the latency is worth 5 % more
    quality.

    Args:
        target: Target latency, in the unit of the objective; above 0.
        exponent: The exponent ``w``; at most 0.
        quality: Index of the objective that says how good a network is, above 0; more is better.
        latency: Index of the objective that is the latency, or any other cost above 0.

    Raises:
        ValueError: If ``target`` is not above 0 or ``exponent`` is above 0.
    """

    target: float
    exponent: float = -0.07
    quality: int = 0
    latency: int = 1

    def __post_init__(self) -> None:
        if not self.target > 0:
            raise ValueError(f"Expected argument `target` to be above 0 but got {self.target}.")
        if not self.exponent <= 0:
            raise ValueError(
                f"Expected argument `exponent` to be at most 0 but got {self.exponent}."
            )

    def __call__(self, outcomes: Outcomes) -> np.ndarray:
        """Return the product for every row, shape ``(n,)``."""
        quality, latency = outcomes.values[:, self.quality], outcomes.values[:, self.latency]
        product: np.ndarray = quality * (latency / self.target) ** self.exponent
        return product


@dataclass(frozen=True)
class ScoreReward:
    """The scalarised value itself, times a factor, for objectives whose scale is known.

    Args:
        scalarization: E.g. ``MnasNetScalarization(target=75.0)``.
        factor: What scores are multiplied with, e.g. 0.01 for objectives in percent.
    """

    scalarization: Scalarization | None = None
    factor: float = 1.0

    def __call__(self, outcomes: Outcomes) -> np.ndarray:
        """Return the rewards of the block's trials."""
        scores = (self.scalarization or _default_scalarization)(outcomes)
        return self.factor * scores[len(scores) - outcomes.n_new :]
