"""The cell of NAS-Bench-201: a small densely connected graph with an operation on every edge."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import re
from types import MappingProxyType
from typing import Any
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._space import SearchSpace


if TYPE_CHECKING:
    import networkx as nx


NAS_BENCH_201_OPERATIONS = (
    "none",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "avg_pool_3x3",
)
"""The five published operations, in the published order."""

_TOKEN = re.compile(r"([A-Za-z0-9_.-]+)~([0-9]{1,9})")


class CellSpace(SearchSpace):
    """The cell search space of NAS-Bench-201 (Dong & Yang, ICLR 2020, section 2.1).

    A cell is a directed acyclic graph: every node but the first is the sum of one edge from each
    earlier node, and each edge carries one operation. With the published 4 nodes and 5 operations
    there are 6 edges and 5^6 = 15,625 cells. Channels, cells per stage and stages belong to the
    network that is built around the cell, not to the search.

    The decision ``edge_i_j`` is the operation on the edge from node ``i`` to node ``j``.

    Args:
        n_nodes: Number of nodes, the input of the cell included.
        operations: Names of the candidate operations of an edge, of the characters
            ``A-Z a-z 0-9 _ . -``.

    Raises:
        ValueError: If ``n_nodes`` is less than 2, or ``operations`` is empty, repeats a name or
            has one of other characters.

    Example:

        >>> space = CellSpace()
        >>> space.size
        15625
        >>> cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
        >>> other = "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|skip_connect~2|"
        >>> architecture = space.from_string(cell)
        >>> architecture["edge_0_1"]
        'nor_conv_3x3'
        >>> space.to_string(architecture) == cell
        True
        >>> space.canonical_key(architecture) == space.canonical_key(space.from_string(other))
        True
    """

    def __init__(
        self, *, n_nodes: int = 4, operations: Sequence[str] = NAS_BENCH_201_OPERATIONS
    ) -> None:
        if n_nodes < 2:
            raise ValueError(f"Expected argument `n_nodes` to be at least 2 but got {n_nodes}.")
        valid = not isinstance(operations, str) and all(
            isinstance(operation, str) and _TOKEN.fullmatch(f"{operation}~0")
            for operation in operations
        )
        if not operations or not valid or len(set(operations)) != len(operations):
            raise ValueError(
                "Expected argument `operations` to be different names of letters, digits, `_`, "
                f"`.` and `-` but got {operations!r}."
            )
        self.n_nodes = n_nodes
        self.operations = tuple(operations)
        distribution = CategoricalDistribution(self.operations)
        self._distributions = {
            f"edge_{source}_{target}": distribution
            for target in range(1, n_nodes)
            for source in range(target)
        }
        self._keys: dict[Architecture, str] = {}

    @property
    def name(self) -> str:
        return "cell"

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        return MappingProxyType(self._distributions)

    def to_string(self, architecture: Architecture) -> str:
        """Return the published string, e.g. ``|none~0|+|none~0|skip_connect~1|+...``."""
        self.require_member(architecture)
        return "+".join(
            "|" + "|".join(f"{architecture[f'edge_{s}_{t}']}~{s}" for s in range(t)) + "|"
            for t in range(1, self.n_nodes)
        )

    def from_string(self, text: str) -> Architecture:
        """Read the published string.

        Raises:
            ValueError: If the number of nodes or edges, or an operation, is not the space's.
        """
        nodes = text.strip().split("+")
        if len(nodes) != self.n_nodes - 1:
            raise ValueError(
                f"Expected argument `text` to describe {self.n_nodes - 1} nodes joined by `+`, as "
                f"in {self._example()}, but got {text!r}."
            )
        params: dict[str, Any] = {}
        for target, node in enumerate(nodes, start=1):
            tokens = node.strip("|").split("|")
            matches = [_TOKEN.fullmatch(token) for token in tokens]
            sources = [int(match[2]) if match else -1 for match in matches]
            if sources != list(range(target)) or node != f"|{'|'.join(tokens)}|":
                raise ValueError(
                    f"Expected node {target} of argument `text` to have one operation~source for "
                    f"each of the sources {list(range(target))}, as in {self._example()}, "
                    f"but got {node!r}."
                )
            params.update({f"edge_{int(m[2])}_{target}": m[1] for m in matches if m is not None})
        return self.architecture(params)

    def _example(self) -> str:
        operation = self.operations[-1]
        return "+".join(
            "|" + "|".join(f"{operation}~{s}" for s in range(t)) + "|"
            for t in range(1, self.n_nodes)
        )

    def to_graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return nodes ``0`` to ``n_nodes - 1`` with the attribute ``operation`` on every edge."""
        import networkx as nx

        self.require_member(architecture)
        graph: nx.DiGraph[Any] = nx.DiGraph(space=self.name)
        graph.add_nodes_from(range(self.n_nodes))
        for target in range(1, self.n_nodes):
            for source in range(target):
                operation = architecture[f"edge_{source}_{target}"]
                graph.add_edge(source, target, operation=operation)
        return graph

    def from_graph(self, graph: nx.DiGraph[Any]) -> Architecture:
        """Read the graph encoding; an edge that is missing counts as ``none``."""
        expected = {(s, t) for t in range(1, self.n_nodes) for s in range(t)}
        if set(graph.nodes) != set(range(self.n_nodes)) or not set(graph.edges) <= expected:
            raise ValueError(
                f"Expected argument `graph` to have the nodes 0 to {self.n_nodes - 1} and edges "
                f"from lower to higher nodes but got the edges {list(graph.edges)}."
            )
        edges = graph.edges
        return self.architecture(
            {
                f"edge_{s}_{t}": edges[s, t].get("operation") if (s, t) in edges else "none"
                for s, t in expected
            }
        )

    def canonical_key(self, architecture: Architecture) -> str:
        """Return the sum that the last node computes, in a normal form.

        Two cells with equal keys compute the same function when operations at equal places of the
        sum have equal weights. The rule: ``none`` contributes nothing, ``skip_connect`` is
        replaced by its input, sums have no order and nested sums are joined, edges from which no
        path leads to the output drop out, and a pooling of nothing is nothing. A convolution of
        nothing stays: its batch normalisation leaves a learned constant. For the published space
        this gives 5,545 keys (the published rule, which keeps ``none`` as a summand, gives 6,466).

        Operations with other names are treated like convolutions.
        """
        key = self._keys.get(architecture)
        if key is None:
            self.require_member(architecture)
            key = self._keys[architecture] = "+".join(self._terms(architecture))
        return key

    def _terms(self, architecture: Architecture) -> list[str]:
        """Return the sorted summands of the last node."""
        sums: list[list[str]] = [["x"]]
        for target in range(1, self.n_nodes):
            terms: list[str] = []
            for source in range(target):
                operation = str(architecture[f"edge_{source}_{target}"])
                inputs = sums[source]
                if operation == "skip_connect":
                    terms += inputs
                elif operation != "none" and (inputs or not operation.startswith("avg_pool")):
                    terms.append(f"{operation}({'+'.join(inputs)})")
            sums.append(sorted(terms))
        return sums[-1]
