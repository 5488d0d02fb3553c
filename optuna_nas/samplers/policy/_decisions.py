"""Decisions as a controller sees them: finite choices and numbers in (0, 1), alone or batched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import distribution_to_json
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import torch
from torch import Tensor

from optuna_nas.prior import Prior
from optuna_nas.samplers.core import _values
from optuna_nas.spaces import choice_at
from optuna_nas.spaces import is_countable
from optuna_nas.spaces import n_choices


MAX_CHOICES = 64
"""A number with more choices than this is drawn from a continuous distribution and rounded."""

_EDGE = 1e-6


@dataclass(frozen=True)
class Decision:
    """One parameter with its distribution.

    A *position* stands for a value: the index of the choice where the decision is finite, and
    else a number in (0, 1). Finite are categorical decisions, and integers and floats with a step
    of at most 64 choices. With ``log`` the scale of the number is logarithmic.

    Args:
        name: Name of the parameter.
        distribution: Any Optuna distribution.
    """

    name: str
    distribution: BaseDistribution

    @cached_property
    def key(self) -> str:
        """A text that is equal for equal decisions, in every process."""
        return f"{self.name}:{distribution_to_json(self.distribution)}"

    @cached_property
    def n_choices(self) -> int:
        """Number of choices; 0 if the decision is continuous for the controller."""
        if isinstance(self.distribution, CategoricalDistribution):
            return len(self.distribution.choices)
        if not is_countable(self.distribution):
            return 0
        n = n_choices(self.distribution)
        return n if n <= MAX_CHOICES else 0

    def position(self, value: Any) -> float:
        """Return the position of a value that the distribution contains."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return float(distribution.to_internal_repr(value))
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        if self.n_choices:
            step = distribution.step
            assert step is not None
            index = round((value - distribution.low) / step)
            return float(min(max(index, 0), self.n_choices - 1))  # It may have been enqueued.
        return min(max(_values.to_unit(distribution, value), _EDGE), 1 - _EDGE)

    def value(self, position: float) -> Any:
        """Return the value at a position."""
        distribution = self.distribution
        if self.n_choices:
            return choice_at(distribution, int(position))
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        return _values.from_unit(distribution, position)

    def actions(self, positions: np.ndarray) -> np.ndarray:
        """Return positions as numbers in (0, 1): the middle of the choice's share."""
        n = self.n_choices
        actions: np.ndarray = (positions + 0.5) / n if n else positions
        return actions

    def from_actions(self, actions: np.ndarray) -> np.ndarray:
        """Return the positions for numbers in [0, 1]; each choice has an equal share."""
        n = self.n_choices
        positions: np.ndarray = (
            np.minimum(np.floor(actions * n), n - 1) if n else np.clip(actions, _EDGE, 1 - _EDGE)
        )
        return positions

    def initial_probabilities(self, prior: Prior | None) -> np.ndarray:
        """Return where a policy starts, of shape ``(n_choices,)``.

        That is the prior with its floor where it knows the decision, else uniform, or uniform in
        the logarithm for an integer with ``log``.
        """
        n = self.n_choices
        distribution = self.distribution
        if prior is not None and self.name in prior:
            given = prior[self.name]
            if len(given) == n:
                mixed: np.ndarray = (1 - prior.floor) * given + prior.floor / n
                start: np.ndarray = np.maximum(mixed, 1e-4)
                return start
        if isinstance(distribution, IntDistribution) and distribution.log:
            edges = np.log(np.arange(distribution.low, distribution.high + 2) - 0.5)
            shares: np.ndarray = np.diff(edges) / (edges[-1] - edges[0])
            return shares
        return np.full(n, 1 / n)


Walked = Sequence[tuple[Decision, float]]
"""The decisions of one architecture in order, each with its position."""


@dataclass(frozen=True)
class EncodedWalks:
    """The decisions of ``n`` trials, padded to ``t`` steps; all of shape ``(t, n)``.

    Args:
        decision: Index of the decision.
        choice: Index of the choice; 0 where the decision is continuous.
        number: The number in (0, 1); 0.5 where the decision is finite.
        continuous: 1 where the decision is continuous, else 0.
        mask: 1 where there is a decision, 0 where a trial has fewer than ``t``.
    """

    decision: Tensor
    choice: Tensor
    number: Tensor
    continuous: Tensor
    mask: Tensor


def encode(decisions: Sequence[Decision], walks: Sequence[Walked]) -> EncodedWalks:
    """Bring the decisions of trials into one batch; all must be among ``decisions``."""
    index = {decision.key: i for i, decision in enumerate(decisions)}
    shape = (max(map(len, walks)), len(walks))
    decision, choice = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    number, continuous, mask = np.full(shape, 0.5), np.zeros(shape), np.zeros(shape)
    for n, walk in enumerate(walks):
        for t, (made, position) in enumerate(walk):
            decision[t, n] = index[made.key]
            mask[t, n] = 1
            if made.n_choices:
                choice[t, n] = int(position)
            else:
                number[t, n] = position
                continuous[t, n] = 1
    return EncodedWalks(*map(torch.from_numpy, (decision, choice, number, continuous, mask)))
