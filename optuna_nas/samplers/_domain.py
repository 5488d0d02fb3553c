"""The parameters of one proposal: which there are, and how to draw, change and complete them."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any
from typing import TYPE_CHECKING

import numpy as np
from optuna.distributions import BaseDistribution

from optuna_nas.samplers import _values
from optuna_nas.search_space import SearchSpace
from optuna_nas.supernet import Prior


if TYPE_CHECKING:
    from optuna_nas.samplers._history import History
    from optuna_nas.samplers._history import Params


_MAX_SCAN = 20_000
"""Architectures that are looked at when almost every one is taken."""


class Domain:
    """The parameters that a sampler proposes for one trial.

    Args:
        distributions: All parameters; those of a space come in the order of its decisions.
        space: If given, its conditions decide which of its decisions are active.
        prior: Optional probabilities of the choices.
        fixed: Values that are given, e.g. by ``study.enqueue_trial``.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        space: SearchSpace | None,
        prior: Prior | None,
        *,
        fixed: Mapping[str, Any] | None = None,
    ) -> None:
        self.distributions = dict(distributions)
        self._space = space
        self._prior = prior
        self.fixed = fixed or {}
        self._decisions = space.distributions if space is not None else {}
        # Decisions first, then what the objective suggests beside the architecture.
        others = (name for name in self.distributions if name not in self._decisions)
        self.names = (*self._decisions, *others)

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        """Tell whether a parameter needs a value, given the active ones before it."""
        if self._space is None or name not in self._decisions:
            return True
        return self._space.is_active(name, params)

    def draw(self, name: str, rng: np.random.Generator) -> Any:
        """Draw a value of one parameter."""
        return _values.draw(name, self.distributions[name], rng, self._prior)

    def sample(self, rng: np.random.Generator) -> Params:
        """Draw all parameters at random.

        With a space the architecture is uniform over architectures, or from the prior.
        """
        params: Params = {}
        if self._space is not None:
            drawn = self._prior.sample(rng) if self._prior is not None else self._space.sample(rng)
            params.update(drawn)
        return self.complete(params, rng)

    def complete(self, params: Mapping[str, Any], rng: np.random.Generator) -> Params:
        """Return the active parameters: given and fixed values kept, missing ones drawn."""
        completed: Params = {}
        for name in self.names:
            if not self.is_active(name, completed):
                continue
            if name in self.fixed:
                completed[name] = self.fixed[name]
            elif name in params:
                completed[name] = params[name]
            elif name in self.distributions:
                completed[name] = self.draw(name, rng)
            elif name in self._decisions:  # Left out by a wrapper, which fixes it itself.
                completed[name] = _values.draw(name, self._decisions[name], rng, self._prior)
        return completed

    def mutate(self, params: Params, rate: float | None, rng: np.random.Generator) -> Params:
        """Redraw each parameter with probability ``rate``, by default 1 / number of parameters."""
        if not params:
            return params
        rate = 1 / len(params) if rate is None else rate
        mutated = dict(params)
        for name, hit in zip(params, rng.random(len(params)) < rate, strict=True):
            if hit:
                mutated[name] = self._redraw(name, params[name], rng)
        return mutated

    def mutate_one(self, params: Params, rng: np.random.Generator) -> Params:
        """Redraw one parameter."""
        names = [name for name in params if name not in self.fixed]
        if not names:
            return params
        name = names[int(rng.integers(len(names)))]
        return {**params, name: self._redraw(name, params[name], rng)}

    def _redraw(self, name: str, value: Any, rng: np.random.Generator) -> Any:
        distribution = self.distributions.get(name)
        if distribution is None:
            return value
        return _values.redraw(name, distribution, value, rng, self._prior)

    def search_untaken(self, history: History, rng: np.random.Generator) -> Params | None:
        """Walk through the space in a random cyclic order until something is not taken.

        It looks at no more than 20,000 architectures, so it is exhaustive for smaller spaces.
        """
        if self._space is None or self.fixed:
            return None
        size = self._space.size
        index = int(rng.integers(min(size, 2**62)))
        stride = _coprime_stride(size, rng)
        for _ in range(min(size, _MAX_SCAN)):
            candidate = self.complete(self._space.architecture_at(index % size), rng)
            if not history.is_taken(candidate):
                return candidate
            index += stride
        return None


def _coprime_stride(size: int, rng: np.random.Generator) -> int:
    while True:
        stride = 1 + int(rng.integers(min(size, 2**62)))
        if math.gcd(stride, size) == 1:
            return stride
