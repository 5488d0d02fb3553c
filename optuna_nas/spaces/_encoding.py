"""The general encodings of an architecture: string, graph and vector, each with its inverse."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import functools
from functools import cached_property
from typing import Any
from typing import TYPE_CHECKING
from urllib.parse import quote
from urllib.parse import unquote

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._choices import choice_at
from optuna_nas.spaces._choices import choices_of
from optuna_nas.spaces._choices import index_of
from optuna_nas.spaces._choices import n_choices
from optuna_nas.spaces._decision_space import DecisionSpace


if TYPE_CHECKING:
    import networkx as nx


class EncodedSpace(DecisionSpace):
    """A space whose architectures have strings, graphs and vectors, each with an exact inverse."""

    def to_string(self, architecture: Architecture) -> str:
        """Return the string encoding, e.g. ``depth=3,width=16``."""
        member = self.require_member(architecture)
        return ",".join(
            f"{_quoted(name)}={_quoted(str(choice))}" for name, choice in member.items()
        )

    def from_string(self, text: str) -> Architecture:
        """Read the string encoding.

        Raises:
            ValueError: If ``text`` is malformed or not a member; the sentence says which part.
        """
        params: dict[str, Choice] = {}
        for pair in filter(None, text.strip().split(",")):
            quoted_name, equals, quoted_choice = pair.partition("=")
            name = unquote(quoted_name.strip())
            if not equals or name not in self.distributions or name in params:
                raise ValueError(
                    "Expected argument `text` to be decision=choice pairs of search space "
                    f"`{self.name}` with the decisions {list(self.distributions)} "
                    f"but got {pair!r}."
                )
            params[name] = self._read_choice(name, unquote(quoted_choice.strip()))
        return self.require_member(Architecture(self.name, params))

    def _read_choice(self, name: str, text: str) -> Choice:
        distribution = self.distributions[name]
        if isinstance(distribution, CategoricalDistribution):
            return next((c for c in choices_of(distribution) if str(c) == text), text)
        try:
            return float(text) if "." in text or "e" in text.lower() else int(text)
        except ValueError:
            return text

    def to_graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the graph encoding, a :class:`networkx.DiGraph`.

        Here it is the chain of decisions; nodes have the attributes ``decision`` and ``choice``.
        """
        member = self.require_member(architecture)
        return path_graph(
            self.name,
            [
                {"operation": f"{name}={choice}", "decision": name, "choice": choice}
                for name, choice in member.items()
            ],
        )

    def from_graph(self, graph: nx.DiGraph[Any]) -> Architecture:
        """Read the graph encoding.

        Raises:
            ValueError: If ``graph`` is not the graph of a member.
        """
        nodes = read_path_graph(graph)
        architecture = self.architecture(
            {str(node.get("decision")): node.get("choice") for node in nodes}
        )
        if len(architecture) != len(nodes):
            raise ValueError(
                f"Expected argument `graph` to have one node for each of the active decisions "
                f"{list(architecture)} but got {nodes}."
            )
        return architecture

    @cached_property
    def vector_size(self) -> int:
        """The length of the vector encoding; the same for all architectures of the space."""
        return sum(_width(distribution) for distribution in self.distributions.values())

    def to_vector(self, architecture: Architecture) -> np.ndarray:
        """Return the vector encoding, float32 of shape ``(vector_size,)`` with entries in [0, 1].

        A categorical decision is one-hot, a numerical one is an activity flag and the choice
        scaled to [0, 1]; an inactive decision is all zeros.
        """
        architecture = self.require_member(architecture)
        vector = np.zeros(self.vector_size, dtype=np.float32)
        start = 0
        for name, distribution in self.distributions.items():
            if name in architecture:
                index = index_of(distribution, architecture[name])
                assert index is not None
                if isinstance(distribution, CategoricalDistribution):
                    vector[start + index] = 1
                else:
                    vector[start] = 1
                    vector[start + 1] = index / max(n_choices(distribution) - 1, 1)
            start += _width(distribution)
        return vector

    def from_vector(self, vector: np.ndarray) -> Architecture:
        """Read the vector encoding.

        Raises:
            ValueError: If ``vector`` does not have shape ``(vector_size,)`` or is no member's.
        """
        size = self.vector_size
        try:
            values = np.asarray(vector, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"Expected argument `vector` to be {size} numbers but got {vector!r}."
            ) from None
        if values.shape != (size,):
            raise ValueError(
                f"Expected argument `vector` to have shape ({size},) but got {values.shape}."
            )
        params: dict[str, Choice] = {}
        start = 0
        for name, distribution in self.distributions.items():
            block = values[start : start + _width(distribution)]
            start += len(block)
            if not block.any():
                continue
            if isinstance(distribution, CategoricalDistribution):
                one_choice = np.count_nonzero(block) == 1 and block.max() == 1
            else:
                one_choice = block[0] == 1 and 0 <= block[1] <= 1
            if not one_choice:
                raise ValueError(
                    f"Expected argument `vector` to encode one choice of the decision `{name}` "
                    f"but got {block.tolist()}."
                )
            if isinstance(distribution, CategoricalDistribution):
                index = int(block.argmax())
            else:
                index = round(float(block[1]) * (n_choices(distribution) - 1))
            params[name] = choice_at(distribution, index)
        return self.require_member(Architecture(self.name, params))

    def to_json(self, architecture: Architecture) -> str:
        """Return the JSON encoding, as :meth:`Architecture.to_json` writes it."""
        return self.require_member(architecture).to_json()

    def from_json(self, text: str) -> Architecture:
        """Read the JSON encoding.

        Raises:
            ValueError: If ``text`` is malformed or the architecture is not a member.
        """
        return self.require_member(Architecture.from_json(text))


@functools.lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return quote(text, safe="")


def path_graph(name: str, nodes: Sequence[Mapping[str, Any]]) -> nx.DiGraph[Any]:
    """Return a path over 0 (input), 1, 2, ... (with the attributes ``nodes``) and the output."""
    import networkx as nx

    graph: nx.DiGraph[Any] = nx.DiGraph(space=name)
    for i, attributes in enumerate([{"operation": "input"}, *nodes, {"operation": "output"}]):
        graph.add_node(i, **attributes)
        if i:
            graph.add_edge(i - 1, i)
    return graph


def read_path_graph(graph: nx.DiGraph[Any]) -> list[dict[str, Any]]:
    """Return the attributes of the nodes between input and output of a :func:`path_graph`.

    Raises:
        ValueError: If the graph is not such a path.
    """
    last = len(graph) - 1
    if (
        last < 1
        or set(graph.nodes) != set(range(last + 1))
        or set(graph.edges) != {(i, i + 1) for i in range(last)}
    ):
        raise ValueError(
            "Expected argument `graph` to be a path over the nodes 0, 1, 2, ... "
            f"but got the nodes {list(graph.nodes)} and the edges {list(graph.edges)}."
        )
    return [dict(graph.nodes[i]) for i in range(1, last)]


def _width(distribution: BaseDistribution) -> int:
    categorical = isinstance(distribution, CategoricalDistribution)
    return n_choices(distribution) if categorical else 2
