"""The sub-space in which some decisions of another space have been made."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_nas.search_space._architecture import Architecture
from optuna_nas.search_space._architecture import Choice
from optuna_nas.search_space._space import default_choice
from optuna_nas.search_space._space import SearchSpace


if TYPE_CHECKING:
    import networkx as nx


class FrozenSpace(SearchSpace):
    """The architectures of a space in which the named decisions have the given values.

    It has the name, the conditions, the strings, graphs and canonical keys of its base, so
    builders and readers of the base work on its architectures. A frozen decision stays a decision
    with one choice: Optuna asks no sampler for it, and ``trial.params`` describes the whole
    architecture, also to the base. Only the vector encoding is of the sub-space.

    :meth:`SearchSpace.freeze` and :meth:`SearchSpace.refine` make it. As Optuna wants a
    categorical parameter of a study to keep its choices, the sub-space takes a study of its own.

    Args:
        base: The space.
        decisions: A choice for each decision to freeze; it applies where the decision is active.

    Raises:
        ValueError: If ``decisions`` names no decision of the space or a value is not a choice.
    """

    def __init__(self, base: SearchSpace, decisions: Mapping[str, Choice]) -> None:
        unknown = [name for name in decisions if name not in base.distributions]
        if unknown:
            raise ValueError(
                f"Expected argument `decisions` to name decisions of search space `{base.name}`, "
                f"{list(base.distributions)}, but got {unknown}."
            )
        self.base = base
        self.frozen = MappingProxyType(
            {name: base._choice(name, value) for name, value in decisions.items()}
        )
        self._distributions = {
            name: _only(distribution, self.frozen[name]) if name in self.frozen else distribution
            for name, distribution in base.distributions.items()
        }

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

    def __reduce__(self) -> tuple[type[FrozenSpace], tuple[SearchSpace, dict[str, Choice]]]:
        return type(self), (self.base, dict(self.frozen))

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


def _only(distribution: BaseDistribution, choice: Any) -> BaseDistribution:
    """Return the distribution with ``choice`` alone."""
    if isinstance(distribution, CategoricalDistribution):
        return CategoricalDistribution((choice,))
    if isinstance(distribution, IntDistribution):
        return IntDistribution(choice, choice, log=distribution.log, step=distribution.step)
    assert isinstance(distribution, FloatDistribution)
    return FloatDistribution(choice, choice, step=distribution.step)
