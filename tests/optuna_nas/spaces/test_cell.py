"""CellSpace: the published strings, counts and canonical form of NAS-Bench-201."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import networkx as nx
import numpy as np
import pytest

from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas.spaces import NAS_BENCH_201_OPERATIONS


SPACE = CellSpace()
CELLS = [SPACE.architecture_at(index) for index in range(SPACE.size)]
"""All 15,625 cells."""


# Strings and counts.


def test_published_size() -> None:
    assert SPACE.size == len(set(CELLS)) == 15_625 == 5**6
    assert len(SPACE.distributions) == 6
    assert SPACE.vector_size == 30
    assert CellSpace(n_nodes=3).size == 5**3
    assert CellSpace(n_nodes=2, operations=("a",)).size == 1
    assert CellSpace(n_nodes=8).size == 5**28


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        # The example of the published documentation, and the best cell of CIFAR-10.
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|"
            "+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
            "nor_conv_3x3 nor_conv_3x3 avg_pool_3x3 skip_connect nor_conv_3x3 skip_connect",
        ),
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
            "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            "nor_conv_3x3 nor_conv_3x3 nor_conv_3x3 skip_connect nor_conv_3x3 nor_conv_3x3",
        ),
    ],
)
def test_published_strings(text: str, operations: str) -> None:
    architecture = SPACE.from_string(text)
    edges = ("edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3")
    assert list(architecture.items()) == list(zip(edges, operations.split(), strict=True))
    assert SPACE.to_string(architecture) == text


def test_every_cell_survives_its_string_and_its_graph() -> None:
    for architecture in CELLS[::7]:
        assert SPACE.from_string(SPACE.to_string(architecture)) == architecture
        assert SPACE.from_graph(SPACE.to_graph(architecture)) == architecture


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "describe 3 nodes joined by `\\+`, as in .* but got ''"),
        ("|none~0|", "describe 3 nodes"),
        ("|none~0|+|none~0|none~1|", "describe 3 nodes"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|", "describe 3 nodes"),
        ("none~0+|none~0|none~1|+|none~0|none~1|none~2|", "node 1 .* but got 'none~0'"),
        ("||none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1 .* but got"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", r"node 2 .* sources \[0, 1\]"),
        ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "node 2 "),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "node 2 "),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~3|", "node 3 "),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none|", "node 3 "),
        ("|none~0|+|none~0|none~1|+|none~0||none~1|none~2|", "node 3 "),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|no ne~2|", "node 3 "),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~" + "2" * 5000 + "|", "node 3 "),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|None~2|", "`edge_2_3` .* but got 'None'"),
        ("|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|", "`edge_0_1` .* but got 'conv'"),
        ("edge_0_1=none", "describe 3 nodes"),
    ],
    ids=lambda text: text[:60],
)
def test_strings_that_are_no_cell(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_string(text)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n_nodes": 1}, "`n_nodes` to be at least 2 but got 1"),
        ({"n_nodes": -4}, "`n_nodes` to be at least 2 but got -4"),
        ({"operations": ()}, r"`operations` to be different names .* but got \(\)"),
        ({"operations": ("a", "b", "a")}, "`operations` to be different names"),
        ({"operations": "abc"}, "`operations` to be different names .* but got 'abc'"),
        ({"operations": ("a", "b~c")}, "`operations` to be different names of letters"),
        ({"operations": ("a", "b|c")}, "`operations` to be different names of letters"),
        ({"operations": ("a", "b+c")}, "`operations` to be different names of letters"),
        ({"operations": ("a", "b c")}, "`operations` to be different names of letters"),
        ({"operations": ("a", "")}, "`operations` to be different names of letters"),
        ({"operations": ("a", 3)}, "`operations` to be different names of letters"),
    ],
)
def test_arguments_that_make_no_space(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        CellSpace(**arguments)


# The graph.


def test_graph_by_hand() -> None:
    graph = SPACE.to_graph(CELLS[0])
    assert list(graph.nodes) == [0, 1, 2, 3]
    assert set(graph.edges) == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    assert set(nx.get_edge_attributes(graph, "operation").values()) == {"none"}


def test_a_missing_edge_is_none() -> None:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_nodes_from(range(4))
    graph.add_edge(0, 3, operation="skip_connect")
    architecture = SPACE.from_graph(graph)
    assert architecture["edge_0_3"] == "skip_connect"
    assert [*architecture.values()].count("none") == 5


@pytest.mark.parametrize(
    ("edges", "sentence"),
    [
        ([], "nodes 0 to 3 and edges from lower to higher"),
        ([(0, 1)], "nodes 0 to 3"),
        ([(0, 1), (1, 2), (2, 3), (3, 4)], "nodes 0 to 3"),
        ([(0, 1), (1, 2), (2, 3), (3, 0)], "nodes 0 to 3"),
        ([(0, 1), (1, 2), (2, 3), (3, 3)], "nodes 0 to 3"),
        ([("a", "b"), ("b", "c"), ("c", "d")], "nodes 0 to 3"),
        ([(0, 1), (1, 2), (2, 3)], "`edge_0_1` .* but got None"),
        ([(0, 1, {"operation": ["none"]}), (1, 2), (2, 3)], r"`edge_0_1` .* but got \['none'\]"),
        ([(0, 1, {"operation": "conv"}), (1, 2), (2, 3)], "`edge_0_1` .* but got 'conv'"),
    ],
)
def test_graphs_that_are_no_cell(edges: list[Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_graph(nx.DiGraph(edges))


def test_a_missing_edge_of_a_space_without_none() -> None:
    space = CellSpace(n_nodes=2, operations=("skip_connect", "nor_conv_1x1"))
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_nodes_from(range(2))
    with pytest.raises(ValueError, match="`edge_0_1` .* but got 'none'"):
        space.from_graph(graph)


# The canonical key.


def _published_key(cell: Architecture, *, constant_of_nothing: bool = False) -> str:
    """Follow ``CellStructure.to_unique_str(consider_zero=True)`` of AutoDL-Projects.

    With ``constant_of_nothing`` a convolution of nothing is kept, as its batch normalisation
    leaves a learned constant.
    """
    nodes = {0: "0"}
    for target in range(1, 4):
        summands = []
        for source in range(target):
            operation = str(cell[f"edge_{source}_{target}"])
            keeps = constant_of_nothing and "conv" in operation
            if operation == "none" or (nodes[source] == "#" and not keeps):
                summands.append("#")
            elif operation == "skip_connect":
                summands.append(nodes[source])
            else:
                summands.append(f"({nodes[source]})@{operation}")
        nodes[target] = "+".join(sorted(summands))
    return nodes[3]


def _convolves_nothing(cell: Architecture) -> bool:
    """Whether a convolution gets the first inner node without input."""
    return cell["edge_0_1"] == "none" and any(
        str(cell[edge]).startswith("nor_conv") for edge in ("edge_1_2", "edge_1_3")
    )


def _split(cells: list[Architecture], keys: list[str]) -> int:
    """Count the classes of equal ``keys`` which the canonical key separates."""
    classes = defaultdict(set)
    for cell, key in zip(cells, keys, strict=True):
        classes[key].add(SPACE.canonical_key(cell))
    return sum(len(ours) > 1 for ours in classes.values())


def test_counts_of_the_published_rule_and_of_ours() -> None:
    assert len({_published_key(cell) for cell in CELLS}) == 6_466
    assert len({SPACE.canonical_key(cell) for cell in CELLS}) == 5_545


def test_ours_is_coarser_but_where_a_convolution_has_no_input() -> None:
    """What the published rule merges is merged by ours, with one class of exceptions.

    The published rule takes a convolution of the empty first inner node for nothing. (It keeps a
    convolution of the empty second inner node, so it is not consistent in that.) A convolution
    here is convolution, batch normalisation, ReLU, and its output for zeros is a learned constant.
    """
    published = [_published_key(cell) for cell in CELLS]
    assert _split(CELLS, published) == 101
    others = [cell for cell in CELLS if not _convolves_nothing(cell)]
    assert _split(others, [_published_key(cell) for cell in others]) == 0
    consistent = [_published_key(cell, constant_of_nothing=True) for cell in CELLS]
    assert len(set(consistent)) == 7_246
    assert _split(CELLS, consistent) == 0


def test_equal_keys_are_equal_functions() -> None:
    """Evaluate all cells with one random non-linear function for each operation."""
    x = np.array([0.31, -0.74, 1.27])
    functions = {
        "none": lambda v: 0 * v,
        "skip_connect": lambda v: v,
        "nor_conv_1x1": lambda v: np.cos(1.3 * v + 0.7),
        "nor_conv_3x3": lambda v: np.sin(0.8 * v - 0.4) + 0.2,
        "avg_pool_3x3": lambda v: np.sinh(0.5 * v),  # Zero at zero, as a pooling; not linear.
    }
    outputs: dict[str, set[tuple[float, ...]]] = defaultdict(set)
    for cell in CELLS:
        nodes = [x]
        for target in range(1, 4):
            terms = [functions[str(cell[f"edge_{s}_{target}"])](nodes[s]) for s in range(target)]
            nodes.append(np.sum(terms, axis=0))
        outputs[SPACE.canonical_key(cell)].add(tuple(np.round(nodes[-1], 9) + 0.0))
    assert all(len(values) == 1 for values in outputs.values())  # Equal keys, equal functions.
    assert len(set.union(*outputs.values())) == len(outputs) == 5_545  # And the other way round.


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", ""),
        ("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", "x"),
        ("|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|", "x"),
        ("|none~0|+|none~0|avg_pool_3x3~1|+|none~0|none~1|skip_connect~2|", ""),
        ("|none~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|", "nor_conv_1x1()"),
        ("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|none~2|", ""),
        ("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|none~1|skip_connect~2|", "x+x"),
    ],
)
def test_canonical_keys_by_hand(text: str, key: str) -> None:
    assert SPACE.canonical_key(SPACE.from_string(text)) == key


def test_isomorphic_cells_have_one_key() -> None:
    """Exchange the two inner nodes where no edge joins them."""
    for cell in CELLS:
        if cell["edge_1_2"] == "none":
            exchanged = dict(cell) | {
                "edge_0_1": cell["edge_0_2"],
                "edge_0_2": cell["edge_0_1"],
                "edge_1_3": cell["edge_2_3"],
                "edge_2_3": cell["edge_1_3"],
            }
            twin = SPACE.architecture(exchanged)
            assert SPACE.canonical_key(twin) == SPACE.canonical_key(cell)


def test_operations_in_the_published_order() -> None:
    assert SPACE.operations == NAS_BENCH_201_OPERATIONS
    assert SPACE.architecture_at(0)["edge_0_1"] == "none"
