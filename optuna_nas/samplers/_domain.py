"""The parameters of one proposal: which there are, and how to draw, change and complete them."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any
from typing import TYPE_CHECKING

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_nas.samplers import _values
from optuna_nas.search_space import SearchSpace
from optuna_nas.supernet import Prior


if TYPE_CHECKING:
    from optuna_nas.samplers._history import History
    from optuna_nas.samplers._history import Params


_MISSING = object()
_MAX_SCAN = 20_000
"""Architectures that are looked at when almost every one is taken."""


class Domain:
    """The parameters that a sampler proposes for one trial.

    Args:
        distributions: All parameters; those of a space come in the order of its decisions.
        space: If given, its conditions decide which of its decisions are active.
        prior: Optional probabilities of the choices.
        fixed: Values that are given, e.g. by ``study.enqueue_trial``. As in Optuna's samplers,
            those out of range are not proposed; the trial takes them with a warning.
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
        self._decisions = space.distributions if space is not None else {}
        self.fixed = {name: v for name, v in (fixed or {}).items() if self._holds(name, v)}
        # Decisions first, then what the objective suggests beside the architecture.
        others = (name for name in self.distributions if name not in self._decisions)
        self.names = (*self._decisions, *others)

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        """Tell whether a parameter needs a value, given the active ones before it."""
        if self._space is None or name not in self._decisions:
            return True
        return self._space.is_active(name, params)

    def distribution(self, name: str) -> BaseDistribution | None:
        """Return the distribution of a parameter, also of a decision that is not proposed."""
        return self.distributions.get(name) or self._decisions.get(name)

    def _holds(self, name: str, value: Any) -> bool:
        distribution = self._decisions.get(name) or self.distributions.get(name)
        return distribution is not None and _values.holds(distribution, value)

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

    def mutate(
        self,
        params: Params,
        rate: float | None,
        rng: np.random.Generator,
        *,
        step: bool = False,
    ) -> Params:
        """Change each parameter that has choices, with probability ``rate``.

        By default that is 1 / number of such parameters.

        Args:
            params: Active parameters.
            rate: Probability of a change.
            rng: Random generator.
            step: Whether a number moves to a value next to it instead of being drawn anew.
        """
        names = [name for name in params if self._has_choices(name)]
        if not names:
            return params
        rate = 1 / len(names) if rate is None else rate
        mutated = dict(params)
        for name, hit in zip(names, rng.random(len(names)) < rate, strict=True):
            if hit:
                mutated[name] = self._changed(name, params[name], rng, step=step)
        return mutated

    def mutate_one(self, params: Params, rng: np.random.Generator) -> Params:
        """Change one parameter."""
        names = [name for name in params if name not in self.fixed and self._has_choices(name)]
        if not names:
            return params
        name = names[int(rng.integers(len(names)))]
        return {**params, name: self._changed(name, params[name], rng)}

    def _has_choices(self, name: str) -> bool:
        distribution = self.distributions.get(name)
        return distribution is not None and not distribution.single()

    def conform(self, params: Mapping[str, Any]) -> Params:
        """Return the parameters of an earlier trial that belong to this domain."""
        return {name: params[name] for name in self.names if name in params}

    def neighbors(self, params: Params) -> list[Params]:
        """Return all parameters that differ in one, without random numbers.

        Decisions that a change makes active take the middle choice.
        """
        found: list[Params] = []
        others = {name: value for name, value in params.items() if name not in self._decisions}
        if self._space is not None:
            architecture = self._space.architecture(params)
            found += [{**near, **others} for near in self._space.neighbors(architecture)]
        for name, value in others.items():
            distribution = self.distributions.get(name)
            if distribution is not None:
                found += [{**params, name: v} for v in _values.nearby(distribution, value)]
        fixed = self.fixed.items()
        return [near for near in found if all(near.get(k, v) == v for k, v in fixed)]

    def features(self, params: Params) -> np.ndarray:
        """Return a vector of fixed length: one-hot choices, and numbers on their scale in [0, 1].

        An inactive parameter is all zeros; a number comes with a flag that it is active.
        """
        blocks: list[float] = []
        for name in self.names:
            distribution = self.distribution(name)
            assert distribution is not None
            if isinstance(distribution, CategoricalDistribution):
                given = params.get(name, _MISSING)
                blocks += [float(choice == given) for choice in distribution.choices]
            elif name in params:
                assert isinstance(distribution, FloatDistribution | IntDistribution)
                blocks += [1.0, _values.to_unit(distribution, params[name])]
            else:
                blocks += [0.0, 0.0]
        return np.array(blocks)

    def _changed(
        self, name: str, value: Any, rng: np.random.Generator, *, step: bool = False
    ) -> Any:
        distribution = self.distributions.get(name)
        if distribution is None:
            return value
        if isinstance(distribution, FloatDistribution) and distribution.step is None:
            return _values.polynomial_mutation(distribution, value, rng, eta=20.0 if step else 5.0)
        if step and isinstance(distribution, FloatDistribution | IntDistribution):
            near = _values.nearby(distribution, value)
            return near[int(rng.integers(len(near)))] if near else value
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
