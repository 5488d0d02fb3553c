"""The contract of a search space: decisions and encodings, all architectures, and sub-spaces."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from functools import cached_property
import operator
from typing import TYPE_CHECKING

import numpy as np
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._choices import choice_at
from optuna_nas.spaces._choices import index_of
from optuna_nas.spaces._choices import n_choices
from optuna_nas.spaces._counting import ArchitectureIndex
from optuna_nas.spaces._encoding import EncodedSpace


if TYPE_CHECKING:
    from optuna_nas.spaces._sub_space import Probabilities
    from optuna_nas.spaces._sub_space import SubSpace


class SearchSpace(EncodedSpace):
    """Base class of search spaces.

    A subclass gives :attr:`name` and :attr:`distributions`, and :meth:`is_active` if some
    decisions are conditional. Everything else has a general implementation, which a subclass
    replaces where the field has a better known form (string, graph, canonical key).

    All decisions are countable: categorical, integer, or float with a step. Continuous training
    hyperparameters are suggested by the objective beside the architecture.
    """

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
            index = index_of(distribution, current)
            assert index is not None
            if isinstance(distribution, CategoricalDistribution):
                others = [i for i in range(len(distribution.choices)) if i != index]
            else:
                n = n_choices(distribution)
                others = [i for i in (index - 1, index + 1) if 0 <= i < n]
            for other in others:
                changed = {**architecture, name: choice_at(distribution, other)}
                found[self._filled(changed)] = None
        found.pop(architecture, None)
        return list(found)

    def canonical_key(self, architecture: Architecture) -> str:
        """Return a key that is equal only for architectures which compute the same function."""
        return self.to_string(architecture)

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
            left[name] = [choice_at(self.distributions[name], int(i)) for i in likely]
        return SubSpace(self, left)
