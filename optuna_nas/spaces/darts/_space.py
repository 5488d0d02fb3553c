"""Normal and reduction cells of nodes with two inputs each, as in NASNet and DARTS."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from itertools import combinations
from itertools import combinations_with_replacement
import re
from types import MappingProxyType
from typing import Any
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._space import SearchSpace
from optuna_nas.spaces.darts._genotype import CELLS
from optuna_nas.spaces.darts._genotype import concatenated
from optuna_nas.spaces.darts._genotype import darts_cells
from optuna_nas.spaces.darts._genotype import DartsCellGenotype
from optuna_nas.spaces.darts._genotype import read_genotype
from optuna_nas.spaces.darts._genotype import write_genotype
from optuna_nas.spaces.darts._key import canonical_cell
from optuna_nas.spaces.darts._published import DARTS_OPERATIONS
from optuna_nas.spaces.darts._published import NASNET_OPERATIONS


if TYPE_CHECKING:
    import networkx as nx


class DartsSpace(SearchSpace):
    """The normal and the reduction cell of NASNet (Zoph et al., CVPR 2018) and DARTS.

    Nodes 0 and 1 of a cell are the outputs of the two cells before it. Each of the ``n_nodes``
    nodes after them is the sum of two edges, an operation on an earlier node each. The output
    joins nodes along the channels. Channels and number of cells belong to the network.

    The decision ``normal_i_inputs`` holds the two sources of node ``i``, e.g. ``"0-2"``, the
    lower one first, and ``normal_i_op_1`` and ``normal_i_op_2`` the operations on them; likewise
    for ``reduce``. In DARTS (Liu et al., ICLR 2019, section 2.4) the two sources differ; with
    ``distinct=False`` they may be equal, as in NASNet. The decision ``concat``, which has one
    choice, says which nodes are joined, so that an architecture tells all that it takes to build
    its cells.

    The string encoding is the published genotype. It is read in any order of a node's two edges
    and written with the lower source first.

    Args:
        n_nodes: Number of nodes of a cell without its two inputs.
        operations: Names of the candidate operations, of the characters ``A-Z a-z 0-9 _ . -``.
            :data:`lightning_modules.CELL_OPERATIONS` are those that can be built.
        distinct: Whether the two sources of a node differ.
        concat: Which nodes make the output: ``"all"``, as in DARTS, or the ``"loose"`` ones that
            are no other node's source, as in NASNet.

    Raises:
        ValueError: If ``n_nodes`` is not in 1 to 6, ``operations`` is empty, repeats a name or
            has one of other characters, or ``concat`` is neither of the two.

    Example:

        >>> from optuna_nas.spaces import DARTS_V2
        >>> space = DartsSpace()
        >>> space.size == (1 * 3 * 6 * 10 * 8**8) ** 2
        True
        >>> architecture = space.from_string(DARTS_V2)
        >>> architecture["normal_5_inputs"], architecture["normal_5_op_2"]
        ('0-2', 'dil_conv_3x3')
        >>> space.to_string(architecture)[:61]
        "Genotype(normal=[('sep_conv_3x3',0),('sep_conv_3x3',1),('sep_"
    """

    def __init__(
        self,
        *,
        n_nodes: int = 4,
        operations: Sequence[str] = DARTS_OPERATIONS,
        distinct: bool = True,
        concat: str = "all",
    ) -> None:
        _check_arguments(n_nodes, operations, concat)
        self.n_nodes = n_nodes
        self.operations = tuple(operations)
        self.distinct = distinct
        self.concat = concat
        self._distributions = self._all_decisions()
        self._keys: dict[Architecture, str] = {}

    @classmethod
    def nasnet(cls) -> DartsSpace:
        """Return the space of NASNet-A and AmoebaNet-A (Zoph et al., CVPR 2018, section 3).

        Five nodes, thirteen operations, equal sources allowed, unused nodes joined.
        """
        return cls(n_nodes=5, operations=NASNET_OPERATIONS, distinct=False, concat="loose")

    def _all_decisions(self) -> dict[str, BaseDistribution]:
        decisions: dict[str, BaseDistribution] = {
            "concat": CategoricalDistribution((self.concat,))
        }
        operation = CategoricalDistribution(self.operations)
        pairs = combinations if self.distinct else combinations_with_replacement
        for cell in CELLS:
            for node in range(2, self.n_nodes + 2):
                inputs = tuple(f"{a}-{b}" for a, b in pairs(range(node), 2))
                decisions[f"{cell}_{node}_inputs"] = CategoricalDistribution(inputs)
                decisions[f"{cell}_{node}_op_1"] = operation
                decisions[f"{cell}_{node}_op_2"] = operation
        return decisions

    @property
    def name(self) -> str:
        return "darts"

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        return MappingProxyType(self._distributions)

    def to_string(self, architecture: Architecture) -> str:
        """Return the published genotype, without blanks."""
        return write_genotype(darts_cells(self.require_member(architecture)))

    def from_string(self, text: str) -> Architecture:
        """Read the published genotype.

        Raises:
            ValueError: If the form, the number of nodes, an operation, the sources of a node or
                the joined nodes are not the space's.
        """
        cells = read_genotype(text, self.n_nodes)
        params: dict[str, Any] = {"concat": self.concat}
        for name, cell in cells.items():
            expected = concatenated(cell.nodes, self.concat)
            if cell.concat != expected:
                raise ValueError(
                    f"Expected `{name}_concat` of argument `text` to be {list(expected)}, as the "
                    f"space joins {self.concat} nodes, but got {list(cell.concat)}."
                )
            params |= _cell_params(name, cell)
        return self.architecture(params)

    def to_graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return both cells; each edge of a cell is a node with the attribute ``operation``.

        The nodes are ``normal_0`` and ``normal_1`` for the inputs, ``normal_i`` (``add``),
        ``normal_i_1`` and ``normal_i_2`` for its two operations, ``normal_output`` for the joined
        nodes, and likewise for ``reduce``.
        """
        import networkx as nx

        cells = darts_cells(self.require_member(architecture))
        graph: nx.DiGraph[Any] = nx.DiGraph(space=self.name)
        for name, cell in cells.items():
            graph.add_node(f"{name}_0", operation=f"{name} input 0")
            graph.add_node(f"{name}_1", operation=f"{name} input 1")
            for i, edges in enumerate(cell.nodes, start=2):
                for k, (operation, source) in enumerate(edges, start=1):
                    graph.add_node(f"{name}_{i}_{k}", operation=operation)
                    graph.add_edge(f"{name}_{source}", f"{name}_{i}_{k}")
                graph.add_node(f"{name}_{i}", operation="add")
                graph.add_edges_from((f"{name}_{i}_{k}", f"{name}_{i}") for k in (1, 2))
            graph.add_node(f"{name}_output", operation=f"{name} output")
            graph.add_edges_from((f"{name}_{i}", f"{name}_output") for i in cell.concat)
        return graph

    def from_graph(self, graph: nx.DiGraph[Any]) -> Architecture:
        """Read the graph encoding."""
        params: dict[str, Any] = {"concat": self.concat}
        for cell in CELLS:
            for node in range(2, self.n_nodes + 2):
                sources: list[str] = []
                for k in (1, 2):
                    operation = f"{cell}_{node}_{k}"
                    if operation in graph:
                        params[f"{cell}_{node}_op_{k}"] = graph.nodes[operation].get("operation")
                        sources += [str(s).rpartition("_")[2] for s in graph.pred[operation]]
                params[f"{cell}_{node}_inputs"] = "-".join(sources)
        architecture = self.architecture(params)
        expected = self.to_graph(architecture)
        if set(graph.nodes) != set(expected.nodes) or set(graph.edges) != set(expected.edges):
            raise ValueError(
                "Expected argument `graph` to have the nodes and edges of a normal and a "
                f"reduction cell but got the edges {list(graph.edges)}."
            )
        return architecture

    def canonical_key(self, architecture: Architecture) -> str:
        """Return the normal form of both cells.

        Two architectures with equal keys give networks that compute the same function when
        corresponding operations have equal weights, and the channels that the next layer reads
        are permuted with the nodes. The rule, for each cell:

        - The order of a node's two edges does not matter.
        - ``none`` contributes nothing, whatever its source, and pooling or ``skip_connect`` of
          nothing is nothing. A convolution of nothing stays: its normalisation has a bias.
        - A node that is only ``skip_connect`` of another node is that node. (In a reduction cell,
          ``skip_connect`` on the cell's inputs has weights, so it stays.)
        - Nodes on which the output does not depend drop out.
        - The remaining nodes may be renumbered: joined in another order, they only permute
          channels. Equal sums with weights of their own are not merged.
        """
        key = self._keys.get(architecture)
        if key is None:
            cells = darts_cells(self.require_member(architecture))
            parts = [
                canonical_cell(cell, reduction=name == "reduce") for name, cell in cells.items()
            ]
            key = self._keys[architecture] = "|".join(parts)
        return key


def _cell_params(name: str, cell: DartsCellGenotype) -> dict[str, str]:
    params: dict[str, str] = {}
    for node, edges in enumerate(cell.nodes, start=2):
        (op_1, first), (op_2, second) = sorted(edges, key=lambda edge: edge[1])
        params[f"{name}_{node}_inputs"] = f"{first}-{second}"
        params[f"{name}_{node}_op_1"] = op_1
        params[f"{name}_{node}_op_2"] = op_2
    return params


def _check_arguments(n_nodes: int, operations: Sequence[str], concat: str) -> None:
    if not 1 <= n_nodes <= 6:
        raise ValueError(f"Expected argument `n_nodes` to be in 1 to 6 but got {n_nodes}.")
    valid = not isinstance(operations, str) and all(
        isinstance(op, str) and re.fullmatch(r"[A-Za-z0-9_.-]+", op) for op in operations
    )
    if not operations or not valid or len(set(operations)) != len(operations):
        raise ValueError(
            "Expected argument `operations` to be different names of letters, digits, `_`, `.` "
            f"and `-` but got {operations!r}."
        )
    if concat not in ("all", "loose"):
        raise ValueError(f'Expected argument `concat` to be "all" or "loose" but got {concat!r}.')
