"""The parameters of one proposal: which there are, and how to draw, change and complete them."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from functools import cached_property
import math
from typing import Any
from typing import TYPE_CHECKING

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_nas.prior import Prior
from optuna_nas.samplers.core import _values
from optuna_nas.spaces import choice_at
from optuna_nas.spaces import is_countable
from optuna_nas.spaces import n_choices
from optuna_nas.spaces import SearchSpace


if TYPE_CHECKING:
    from optuna_nas.samplers.core._history import Params


_MISSING = object()


class TrialDomain:
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
        self.fixed = {name: v for name, v in (fixed or {}).items() if self._may_be(name, v)}
        # Decisions first, then what the objective suggests beside the architecture.
        others = (name for name in self.distributions if name not in self._decisions)
        self.names = (*self._decisions, *others)

    def _may_be(self, name: str, value: Any) -> bool:
        distribution = self.distribution(name)
        return distribution is None or _values.holds(distribution, value)

    @cached_property
    def _countable(self) -> dict[str, BaseDistribution]:
        """The parameters outside the space that have finitely many values."""
        others = {name: self.distributions[name] for name in self.names[len(self._decisions) :]}
        return {name: d for name, d in others.items() if is_countable(d)}

    @property
    def has_space(self) -> bool:
        """Whether some parameters are the decisions of a space."""
        return self._space is not None

    @property
    def is_countable(self) -> bool:
        """Whether :attr:`size` counts everything that can be proposed."""
        return len(self._decisions) + len(self._countable) == len(self.names)

    @property
    def size(self) -> int:
        """Number of proposals, continuous parameters left out."""
        n_values = [n_choices(d) for d in self._countable.values()]
        return math.prod(n_values) * (self._space.size if self._space is not None else 1)

    def params_at(self, index: int) -> Params:
        """Return the parameters of proposal ``index`` in [0, ``size``) but continuous ones."""
        others: Params = {}
        for name, distribution in self._countable.items():
            index, position = divmod(index, n_choices(distribution))
            others[name] = choice_at(distribution, position)
        architecture = self._space.architecture_at(index) if self._space is not None else {}
        return {**architecture, **others}

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        """Tell whether a parameter needs a value, given the active ones before it."""
        if self._space is None or name not in self._decisions:
            return True
        return self._space.is_active(name, params)

    def distribution(self, name: str) -> BaseDistribution | None:
        """Return the distribution of a parameter, also of a decision that is not proposed."""
        return self.distributions.get(name) or self._decisions.get(name)

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

        Decisions that a change makes active take the middle choice. Fixed values come first.
        """
        found: list[Params] = []
        if self.fixed:
            params = self._fixed_in(params)
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

    def _fixed_in(self, params: Params) -> Params:
        """Return parameters with the fixed values, the middle choice where one needs another."""
        given = {**params, **{k: v for k, v in self.fixed.items() if k in self.names}}
        if self._space is None:
            return given
        others = {name: value for name, value in given.items() if name not in self._decisions}
        return {**self._space.complete(given), **others}

    def names_in(self, members: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
        """Return the decisions, and the other parameters that one of ``members`` has."""
        if len(self.names) == len(self._decisions):
            return self.names
        used = self._decisions.keys() | set().union(*members)
        return tuple(name for name in self.names if name in used)

    def features(
        self, params: Mapping[str, Any], names: Iterable[str] | None = None
    ) -> np.ndarray:
        """Return a vector: one-hot choices, and numbers on their scale in [0, 1].

        An inactive parameter is all zeros; a number comes with a flag that it is active.

        Args:
            params: Parameters by name.
            names: What the vector is of; all names of the domain by default.
        """
        blocks: list[float] = []
        for name in self.names if names is None else names:
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
