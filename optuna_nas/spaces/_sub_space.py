"""The sub-space in which some decisions of another space have fewer choices, or one."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any
from typing import Protocol
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._choices import default_choice
from optuna_nas.spaces._choices import index_of
from optuna_nas.spaces._choices import n_choices
from optuna_nas.spaces._space import SearchSpace


if TYPE_CHECKING:
    import networkx as nx
    import numpy as np


class Probabilities(Protocol):
    """Probabilities of the choices of each decision, as the supernet stage leaves them."""

    def require_fit(self, space: SearchSpace) -> None:
        """Raise a ValueError if they are of another space."""
        ...

    def __getitem__(self, name: str) -> np.ndarray:
        """Return those of a decision, of shape ``(n_choices,)``."""
        ...


class SubSpace(SearchSpace):
    """The architectures of a space in which the named decisions have only the given choices.

    It has the name, the conditions, the strings, graphs and canonical keys of its base, so
    builders and readers of the base work on its architectures. A decision that is left one choice
    stays a decision: Optuna asks no sampler for it, and ``trial.params`` describes the whole
    architecture, also to the base. Only the vector encoding is of the sub-space. Its text tells
    how much smaller it is.

    :meth:`SearchSpace.freeze`, :meth:`SearchSpace.refine` and :meth:`SearchSpace.shrink` make it.
    As Optuna wants a categorical parameter of a study to keep its choices, the sub-space takes a
    study of its own.

    Args:
        base: The space.
        choices: The choices that are left of each decision named, in the order of the base.

    Raises:
        ValueError: If ``choices`` names no decision of the space, leaves one no choice, or a value
            is not a choice.

    Example:

        >>> from optuna_nas import CellSpace
        >>> print(SubSpace(CellSpace(), {"edge_0_1": ["none", "skip_connect"]}))
        cell: 6,250 of 15,625 architectures (40.00%)
    """

    def __init__(self, base: SearchSpace, choices: Mapping[str, Sequence[Choice]]) -> None:
        unknown = [name for name in choices if name not in base.distributions]
        if unknown:
            raise ValueError(
                f"Expected argument `decisions` to name decisions of search space `{base.name}`, "
                f"{list(base.distributions)}, but got {unknown}."
            )
        self.base = base
        self.choices = MappingProxyType(
            {name: self._left(name, values) for name, values in choices.items()}
        )
        self._distributions = {
            name: _only(distribution, self.choices[name]) if name in self.choices else distribution
            for name, distribution in base.distributions.items()
        }

    def _left(self, name: str, values: Sequence[Choice]) -> tuple[Choice, ...]:
        if not values:
            raise ValueError(f"Expected the decision `{name}` to have a choice left but got none.")
        distribution = self.base.distributions[name]
        named = {self.base._choice(name, value) for value in values}
        # The index is that of a choice, so never None.
        return tuple(sorted(named, key=lambda c: index_of(distribution, c) or 0))

    def __str__(self) -> str:
        share = self.size / self.base.size
        return f"{self.name}: {self.size:,} of {self.base.size:,} architectures ({share:.2%})"

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        return MappingProxyType(self._distributions)

    @property
    def build(self) -> Any:
        """What the base has as ``build``, e.g. the function of a custom space."""
        return getattr(self.base, "build", None)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.base, dict(self.choices))

    def is_active(self, name: str, params: Mapping[str, Choice]) -> bool:
        return self.base.is_active(name, params)

    def canonical_key(self, architecture: Architecture) -> str:
        return self.base.canonical_key(self.require_member(architecture))

    def to_string(self, architecture: Architecture) -> str:
        return self.base.to_string(self.require_member(architecture))

    def from_string(self, text: str) -> Architecture:
        return self.require_member(self.base.from_string(text))

    def to_graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        return self.base.to_graph(self.require_member(architecture))

    def from_graph(self, graph: nx.DiGraph[Any]) -> Architecture:
        return self.require_member(self.base.from_graph(graph))


def outside(
    space: SearchSpace, architecture: Architecture, patterns: Iterable[str]
) -> dict[str, Choice]:
    """Return the choices of all decisions that no pattern names.

    A decision that is inactive in ``architecture`` takes its default.

    Raises:
        ValueError: If ``architecture`` is no member or a pattern names no decision.
    """
    member = space.require_member(architecture)
    if isinstance(patterns, str):
        raise ValueError(
            "Expected argument `decisions` to be a list of names or patterns "
            f"but got {patterns!r}."
        )
    free: set[str] = set()
    for pattern in patterns:
        named = {n for n in space.distributions if n == pattern or fnmatchcase(n, pattern)}
        if not named:
            raise ValueError(
                f"Expected argument `decisions` to name decisions of search space `{space.name}`, "
                f"{list(space.distributions)}, but got {pattern!r}."
            )
        free |= named
    return {
        name: member[name] if name in member else default_choice(distribution)
        for name, distribution in space.distributions.items()
        if name not in free
    }


def _only(distribution: BaseDistribution, choices: Sequence[Any]) -> BaseDistribution:
    """Return the distribution with some choices; numbers with gaps become categories."""
    if len(choices) == n_choices(distribution):
        return distribution
    low, high = choices[0], choices[-1]
    if isinstance(distribution, IntDistribution):
        whole = IntDistribution(low, high, log=distribution.log, step=distribution.step)
        if n_choices(whole) == len(choices):
            return whole
    if isinstance(distribution, FloatDistribution):
        stepped = FloatDistribution(low, high, step=distribution.step)
        if n_choices(stepped) == len(choices):
            return stepped
    return CategoricalDistribution(tuple(choices))
