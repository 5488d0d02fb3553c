"""The general encodings of an architecture: string, graph and vector, each with its inverse."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import functools
from typing import Any
from typing import TYPE_CHECKING
from urllib.parse import quote
from urllib.parse import unquote

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces import _choices
from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice


if TYPE_CHECKING:
    import networkx as nx

    from optuna_nas.spaces._space import SearchSpace


MAX_NUMERICAL_CHOICES = 2**22
"""A numerical decision with more choices would not survive the way through float32."""


def to_string(space: SearchSpace, architecture: Architecture) -> str:
    """Write ``decision=choice`` pairs joined by commas, e.g. ``depth=3,width=16``."""
    member = space.require_member(architecture)
    return ",".join(f"{_quoted(name)}={_quoted(str(choice))}" for name, choice in member.items())


@functools.lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return quote(text, safe="")


def from_string(space: SearchSpace, text: str) -> Architecture:
    """Read what :func:`to_string` wrote.

    Raises:
        ValueError: If a pair is malformed, a decision unknown or inactive, or a choice not one of
            its decision's.
    """
    params: dict[str, Choice] = {}
    for pair in filter(None, text.strip().split(",")):
        quoted_name, equals, quoted_choice = pair.partition("=")
        name = unquote(quoted_name.strip())
        if not equals or name not in space.distributions or name in params:
            raise ValueError(
                "Expected argument `text` to be decision=choice pairs of search space "
                f"`{space.name}` with the decisions {list(space.distributions)} but got {pair!r}."
            )
        params[name] = _read_choice(space, name, unquote(quoted_choice.strip()))
    return space.require_member(Architecture(space.name, params))


def _read_choice(space: SearchSpace, name: str, text: str) -> Choice:
    distribution = space.distributions[name]
    if isinstance(distribution, CategoricalDistribution):
        for index in range(_choices.n_choices(distribution)):
            choice = _choices.choice_at(distribution, index)
            if str(choice) == text:
                return choice
        return text
    try:
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        return text


def to_graph(space: SearchSpace, architecture: Architecture) -> nx.DiGraph[Any]:
    """Return the chain of decisions; nodes have the attributes ``decision`` and ``choice``."""
    member = space.require_member(architecture)
    return path_graph(
        space.name,
        [
            {"operation": f"{name}={choice}", "decision": name, "choice": choice}
            for name, choice in member.items()
        ],
    )


def from_graph(space: SearchSpace, graph: nx.DiGraph[Any]) -> Architecture:
    """Read what :func:`to_graph` wrote.

    Raises:
        ValueError: If the graph is not a chain of the active decisions.
    """
    nodes = read_path_graph(graph)
    architecture = space.architecture(
        {str(node.get("decision")): node.get("choice") for node in nodes}
    )
    if len(architecture) != len(nodes):
        raise ValueError(
            f"Expected argument `graph` to have one node for each of the active decisions "
            f"{list(architecture)} but got {nodes}."
        )
    return architecture


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
    return _choices.n_choices(distribution) if categorical else 2


def vector_size(space: SearchSpace) -> int:
    """Return the number of entries of the vector encoding."""
    return sum(_width(distribution) for distribution in space.distributions.values())


def to_vector(space: SearchSpace, architecture: Architecture) -> np.ndarray:
    """Return the vector encoding, float32 of shape ``(vector_size,)`` with entries in [0, 1]."""
    architecture = space.require_member(architecture)
    vector = np.zeros(vector_size(space), dtype=np.float32)
    start = 0
    for name, distribution in space.distributions.items():
        if name in architecture:
            index = _choices.index_of(distribution, architecture[name])
            assert index is not None
            if isinstance(distribution, CategoricalDistribution):
                vector[start + index] = 1
            else:
                vector[start] = 1
                vector[start + 1] = index / max(_choices.n_choices(distribution) - 1, 1)
        start += _width(distribution)
    return vector


def from_vector(space: SearchSpace, vector: np.ndarray) -> Architecture:
    """Read what :func:`to_vector` wrote.

    Raises:
        ValueError: If the shape is wrong or an active decision has not exactly one choice.
    """
    size = vector_size(space)
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
    for name, distribution in space.distributions.items():
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
            index = round(float(block[1]) * (_choices.n_choices(distribution) - 1))
        params[name] = _choices.choice_at(distribution, index)
    return space.require_member(Architecture(space.name, params))
