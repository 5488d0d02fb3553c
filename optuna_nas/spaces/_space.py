"""The contract of a search space: ordered decisions, their conditions, and their encodings."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from collections.abc import Mapping
from functools import cached_property
import operator
from typing import Any
from typing import TYPE_CHECKING

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.trial import BaseTrial

from optuna_nas.spaces import _choices
from optuna_nas.spaces import _encoding as encoding
from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._counting import ArchitectureIndex


if TYPE_CHECKING:
    import networkx as nx

    from optuna_nas.spaces._sub_space import Probabilities
    from optuna_nas.spaces._sub_space import SubSpace


class SearchSpace(abc.ABC):
    """Base class of search spaces.

    A subclass gives :attr:`name` and :attr:`distributions`, and :meth:`is_active` if some
    decisions are conditional. Everything else has a general implementation, which a subclass
    replaces where the field has a better known form (string, graph, canonical key).

    All decisions are countable: categorical, integer, or float with a step. Continuous training
    hyperparameters are suggested by the objective beside the architecture.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name of the space, which its architectures carry."""

    @property
    @abc.abstractmethod
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """All decisions in order, conditional ones included."""

    def is_active(self, name: str, params: Mapping[str, Choice]) -> bool:
        """Tell whether decision ``name`` has to be made.

        Args:
            name: One of :attr:`distributions`.
            params: The choices of the active decisions that come before ``name``.

        Returns:
            :obj:`True` if the decision is active. It depends on ``params`` alone.
        """
        return True

    # Sampling and membership.

    def suggest(self, trial: BaseTrial) -> Architecture:
        """Ask a trial for an architecture with plain ``trial.suggest_*`` calls.

        Raises:
            ValueError: If a value that was enqueued for the trial is not one of the choices.
        """
        params: dict[str, Choice] = {}
        for name, distribution in self.distributions.items():
            if self.is_active(name, params):
                params[name] = self._choice(name, _choices.suggest(trial, name, distribution))
        return Architecture(self.name, params)

    def architecture(self, params: Mapping[str, Any]) -> Architecture:
        """Make an architecture from parameters, e.g. ``study.best_trial.params``.

        Names that are no decisions (training hyperparameters) and inactive decisions are left out.

        Args:
            params: At least a choice for every active decision.

        Raises:
            ValueError: If an active decision is missing or its value is not one of its choices.
        """
        active: dict[str, Choice] = {}
        for name in self.distributions:
            if not self.is_active(name, active):
                continue
            if name not in params:
                raise ValueError(
                    f"Expected argument `params` to hold the decision `{name}` of search space "
                    f"`{self.name}` but got {list(params)}."
                )
            active[name] = self._choice(name, params[name])
        return Architecture(self.name, active)

    def _choice(self, name: str, value: Any) -> Choice:
        """Return the choice that equals ``value``, e.g. 0.3 for 0.1 + 0.2, or raise."""
        distribution = self.distributions[name]
        index = _choices.index_of(distribution, value)
        if index is None:
            raise ValueError(
                f"Expected the decision `{name}` of search space `{self.name}` to be one of "
                f"{describe(distribution)} but got {value!r}."
            )
        return _choices.choice_at(distribution, index)

    def contains(self, architecture: Architecture) -> bool:
        """Tell whether ``architecture`` is a member: all active decisions and no others."""
        try:
            self.require_member(architecture)
        except ValueError:
            return False
        return True

    def require_member(self, architecture: Architecture) -> Architecture:
        """Return ``architecture`` with its decisions in the order of the space.

        Raises:
            ValueError: If it is no member; the sentence says why.
        """
        if getattr(architecture, "space", None) != self.name:  # A plain dict has no space.
            raise ValueError(
                f"Expected argument `architecture` to be an architecture of search space "
                f"`{self.name}` but got {architecture!r}."
            )
        member = self.architecture(architecture)
        extra = [name for name in architecture if name not in member]
        if extra:
            raise ValueError(
                f"Expected argument `architecture` to hold active decisions of search space "
                f"`{self.name}` only but got {extra} beside them."
            )
        return member

    @cached_property
    def _index(self) -> ArchitectureIndex:
        return ArchitectureIndex(self.distributions, self.is_active)

    @cached_property
    def size(self) -> int:
        """The exact number of architectures, conditions counted.

        Raises:
            ValueError: If the conditions look at so many decisions that counting takes too long.
        """
        return self._index.size

    def architecture_at(self, index: int) -> Architecture:
        """Return architecture number ``index`` of the space, without enumerating the others.

        Args:
            index: In [0, :attr:`size`). Equal indices mean equal architectures, and different
                indices different ones.

        Raises:
            ValueError: If ``index`` is outside the range.
        """
        index = operator.index(index)
        if not 0 <= index < self.size:
            raise ValueError(
                f"Expected argument `index` to be in [0, {self.size}) but got {index}."
            )
        return Architecture(self.name, self._index.params_at(index))

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw an architecture, uniformly over the architectures (not over the decisions)."""
        n_bytes = self.size.bit_length() // 8 + 8  # 56 spare bits make the modulo bias invisible.
        return self.architecture_at(int.from_bytes(rng.bytes(n_bytes), "little") % self.size)

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return the architectures that differ in one decision.

        A categorical decision changes to each other choice, a numerical one to the next lower and
        the next higher. Decisions that a change makes active take their default
        (:func:`default_choice`); those that it makes inactive are dropped.

        Raises:
            ValueError: If ``architecture`` is not a member.
        """
        architecture = self.require_member(architecture)
        found: dict[Architecture, None] = {}
        for name, current in architecture.items():
            distribution = self.distributions[name]
            index = _choices.index_of(distribution, current)
            assert index is not None
            if isinstance(distribution, CategoricalDistribution):
                others = [i for i in range(len(distribution.choices)) if i != index]
            else:
                n = _choices.n_choices(distribution)
                others = [i for i in (index - 1, index + 1) if 0 <= i < n]
            for other in others:
                changed = {**architecture, name: _choices.choice_at(distribution, other)}
                found[self._filled(changed)] = None
        found.pop(architecture, None)
        return list(found)

    def complete(self, params: Mapping[str, Choice]) -> Architecture:
        """Make an architecture from some decisions: a missing active one takes its default.

        Raises:
            ValueError: If a given value is not one of the choices of its decision.
        """
        active: dict[str, Choice] = {}
        for name, distribution in self.distributions.items():
            if not self.is_active(name, active):
                continue
            if name in params:
                active[name] = self._choice(name, params[name])
            else:
                active[name] = default_choice(distribution)
        return Architecture(self.name, active)

    def _filled(self, params: Mapping[str, Choice]) -> Architecture:
        """Do what :meth:`complete` does for values that are known to be choices."""
        active: dict[str, Choice] = {}
        for name, distribution in self.distributions.items():
            if self.is_active(name, active):
                active[name] = params[name] if name in params else default_choice(distribution)
        return Architecture(self.name, active)

    # Sub-spaces.

    def freeze(self, decisions: Mapping[str, Choice]) -> SubSpace:
        """Return the sub-space in which the named decisions have the given values.

        Args:
            decisions: A choice for each decision to freeze, e.g. ``{"depth": 3}`` or an
                architecture. It applies wherever the decision is active.

        Returns:
            A space of the same name, so that builders work on its architectures.

        Raises:
            ValueError: If a name is no decision of the space or a value is not one of its choices.

        Example:

            >>> from optuna_nas import CellSpace
            >>> CellSpace().freeze({"edge_0_1": "skip_connect", "edge_0_2": "none"}).size
            625
        """
        from optuna_nas.spaces._sub_space import SubSpace

        return SubSpace(self, {name: (choice,) for name, choice in decisions.items()})

    def refine(self, architecture: Architecture, decisions: Iterable[str]) -> SubSpace:
        """Return the sub-space around ``architecture`` in which only ``decisions`` are free.

        Args:
            architecture: A member. Decisions that are inactive in it, but become active by a free
                one, take their default (:func:`default_choice`) unless they are free, too.
            decisions: Names or shell patterns, e.g. ``["stage_1_*", "head_width"]``.

        Returns:
            A space of the same name, which holds ``architecture``.

        Raises:
            ValueError: If ``architecture`` is not a member or a pattern names no decision.

        Example:

            >>> from optuna_nas import ChainSpace
            >>> space = ChainSpace()
            >>> space.refine(space.from_string("C-C-S-O"), ["layer_*_filters"]).size
            16
        """
        from optuna_nas.spaces._sub_space import outside

        return self.freeze(outside(self, architecture, decisions))

    def shrink(self, prior: Probabilities, *, keep: float = 0.25) -> SubSpace:
        """Return the sub-space without the choices that are unlikely by a prior.

        Args:
            prior: Probabilities of the choices, a :class:`~optuna_nas.prior.Prior`.
            keep: Smallest probability of a choice that stays, relative to that of the likeliest
                choice of its decision, in [0, 1]. The likeliest always stays.

        Returns:
            A space of the same name; ``print`` tells by how much the size fell.

        Raises:
            ValueError: If ``prior`` is of another space or ``keep`` is out of range.

        Example:

            >>> from optuna_nas import CellSpace
            >>> from optuna_nas.prior import Prior
            >>> space = CellSpace()
            >>> print(space.shrink(Prior(space, {"edge_0_3": [1, 9, 2, 8, 5]}), keep=0.5))
            cell: 9,375 of 15,625 architectures (60.00%)
        """
        from optuna_nas.spaces._sub_space import SubSpace

        prior.require_fit(self)
        if not 0 <= keep <= 1:
            raise ValueError(f"Expected argument `keep` to be in [0, 1] but got {keep}.")
        left: dict[str, list[Choice]] = {}
        for name in self.distributions:
            likely = np.flatnonzero(prior[name] >= keep * prior[name].max())
            left[name] = [_choices.choice_at(self.distributions[name], int(i)) for i in likely]
        return SubSpace(self, left)

    def canonical_key(self, architecture: Architecture) -> str:
        """Return a key that is equal only for architectures which compute the same function."""
        return self.to_string(architecture)

    # Encodings. Each has an exact inverse.

    def to_string(self, architecture: Architecture) -> str:
        """Return the string encoding."""
        return encoding.to_string(self, architecture)

    def from_string(self, text: str) -> Architecture:
        """Read the string encoding.

        Raises:
            ValueError: If ``text`` is malformed or not a member; the sentence says which part.
        """
        return encoding.from_string(self, text)

    def to_graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the graph encoding, a :class:`networkx.DiGraph`."""
        return encoding.to_graph(self, architecture)

    def from_graph(self, graph: nx.DiGraph[Any]) -> Architecture:
        """Read the graph encoding.

        Raises:
            ValueError: If ``graph`` is not the graph of a member.
        """
        return encoding.from_graph(self, graph)

    @cached_property
    def vector_size(self) -> int:
        """The length of the vector encoding; the same for all architectures of the space."""
        return encoding.vector_size(self)

    def to_vector(self, architecture: Architecture) -> np.ndarray:
        """Return the vector encoding, float32 of shape ``(vector_size,)`` with entries in [0, 1].

        A categorical decision is one-hot, a numerical one is an activity flag and the choice
        scaled to [0, 1]; an inactive decision is all zeros.
        """
        return encoding.to_vector(self, architecture)

    def from_vector(self, vector: np.ndarray) -> Architecture:
        """Read the vector encoding.

        Raises:
            ValueError: If ``vector`` does not have shape ``(vector_size,)`` or is no member's.
        """
        return encoding.from_vector(self, vector)

    def to_json(self, architecture: Architecture) -> str:
        """Return the JSON encoding, as :meth:`Architecture.to_json` writes it."""
        return self.require_member(architecture).to_json()

    def from_json(self, text: str) -> Architecture:
        """Read the JSON encoding.

        Raises:
            ValueError: If ``text`` is malformed or the architecture is not a member.
        """
        return self.require_member(Architecture.from_json(text))


def default_choice(distribution: BaseDistribution) -> Choice:
    """Return the choice in the middle (the lower of two), which stands where none was given."""
    return _choices.choice_at(distribution, (_choices.n_choices(distribution) - 1) // 2)


def describe(distribution: BaseDistribution) -> str:
    """Name the choices of a distribution for an error message."""
    n = _choices.n_choices(distribution)
    if n <= 12:
        return str([_choices.choice_at(distribution, i) for i in range(n)])
    low, high = _choices.choice_at(distribution, 0), _choices.choice_at(distribution, n - 1)
    return f"{low} to {high} ({n} choices)"


def check_countable(distributions: Mapping[str, BaseDistribution]) -> None:
    """Raise a ValueError if a distribution cannot be a decision of a search space."""
    for name, distribution in distributions.items():
        if not isinstance(distribution, BaseDistribution):
            raise ValueError(
                f"Expected the decision `{name}` to be an Optuna distribution "
                f"but got {distribution!r}."
            )
        if not _choices.is_countable(distribution):
            raise ValueError(
                f"Expected the decision `{name}` to be categorical, int, or float with a step "
                f"but got {distribution!r}; suggest continuous hyperparameters in the objective."
            )
        if (
            not isinstance(distribution, CategoricalDistribution)
            and _choices.n_choices(distribution) > encoding.MAX_NUMERICAL_CHOICES
        ):
            raise ValueError(
                f"Expected the decision `{name}` to have at most {encoding.MAX_NUMERICAL_CHOICES} "
                f"choices but got {_choices.n_choices(distribution)}."
            )
