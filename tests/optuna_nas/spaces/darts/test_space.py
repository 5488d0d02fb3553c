"""Genotypes of normal and reduction cells: the published form, size, and the canonical key."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest

from optuna_nas import DartsSpace
from optuna_nas.spaces import AMOEBANET_A
from optuna_nas.spaces import darts_cells
from optuna_nas.spaces import DARTS_OPERATIONS
from optuna_nas.spaces import DARTS_V2
from optuna_nas.spaces import NASNET_A
from optuna_nas.spaces import NASNET_OPERATIONS


SPACE = DartsSpace()
NASNET = DartsSpace.nasnet()
PUBLISHED = [(SPACE, DARTS_V2), (NASNET, NASNET_A), (NASNET, AMOEBANET_A)]
SHORT = {
    "none": "none",
    "skip": "skip_connect",
    "max": "max_pool_3x3",
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}


def cell(nodes: str) -> str:
    """Return edges from nodes like ``sep3 0 skip 1; max 0 dil3 2``, filled up to four nodes."""
    listed = [node.split() for node in nodes.split(";") if node]
    listed += [["skip", "0", "skip", "1"]] * (4 - len(listed))
    edges = [(words[i], words[i + 1]) for words in listed for i in (0, 2)]
    return "[" + ",".join(f"('{SHORT[op]}',{source})" for op, source in edges) + "]"


def key(normal: str, reduce: str = "") -> str:
    return SPACE.canonical_key(
        SPACE.from_string(
            f"Genotype(normal={cell(normal)},normal_concat=range(2,6),"
            f"reduce={cell(reduce)},reduce_concat=range(2,6))"
        )
    )


# The published form.


@pytest.mark.parametrize(("space", "text"), PUBLISHED, ids=["darts", "nasnet", "amoebanet"])
def test_published_genotypes_are_members(space: DartsSpace, text: str) -> None:
    architecture = space.from_string(text)
    written = space.to_string(architecture)
    assert space.from_string(written) == architecture
    # The same edges, node by node; only the order of a node's two edges may differ.
    names = {"Genotype": dict, "range": range, "__builtins__": {}}
    published, ours = eval(text, names), eval(written, names)  # Of this file and the package.
    for cell in ("normal", "reduce"):
        assert list(published[f"{cell}_concat"]) == list(ours[f"{cell}_concat"])
        edges = published[cell]
        pairs = [
            sorted(edges[i : i + 2], key=lambda edge: edge[1]) for i in range(0, len(edges), 2)
        ]
        assert [edge for pair in pairs for edge in pair] == ours[cell]


def test_a_listing_in_source_code_is_read() -> None:
    text = DARTS_V2.replace("range(2, 6)", "[2, 3, 4, 5]").replace("'", '"')
    text = (
        text.replace(", ", ",\n    ").replace("]", ",\n  ]").replace("Genotype(", "\n Genotype(")
    )
    assert SPACE.from_string(text) == SPACE.from_string(DARTS_V2)


def test_decisions_by_hand() -> None:
    architecture = SPACE.from_string(DARTS_V2)
    assert architecture["concat"] == "all"
    inputs = [architecture[f"normal_{i}_inputs"] for i in range(2, 6)]
    assert inputs == ["0-1", "0-1", "0-1", "0-2"]
    assert architecture["normal_4_op_1"] == "skip_connect"
    assert architecture["normal_4_op_2"] == "sep_conv_3x3"
    cells = darts_cells(architecture)
    assert cells["reduce"].nodes[3] == (("max_pool_3x3", 1), ("skip_connect", 2))
    assert cells["reduce"].concat == (2, 3, 4, 5)


def test_equal_sources_are_for_nasnet_only() -> None:
    doubled = DARTS_V2.replace("('sep_conv_3x3', 1)", "('sep_conv_3x3', 0)", 1)
    with pytest.raises(ValueError, match=r"`normal_2_inputs` .* one of \['0-1'\] but got '0-0'"):
        SPACE.from_string(doubled)
    loose = DartsSpace(distinct=False)
    assert loose.from_string(doubled)["normal_2_inputs"] == "0-0"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("Genotype", "genotype", "to be a genotype like Genotype"),
        ("normal_concat", "concat", "to be a genotype like Genotype"),
        ("('sep_conv_3x3', 0), ", "__import__('os'), ", "to be a genotype like Genotype"),
        (
            "('sep_conv_3x3', 0), ",
            "",
            "`normal` .* 4 nodes of two edges each but got 7",
        ),
        ("range(2, 6)", "range(2, 5)", r"`normal_concat` .* \[2, 3, 4, 5\].* got \[2, 3, 4\]"),
        ("range(2, 6)", "[2, 3, 4, 5, 5]", r"but got \[2, 3, 4, 5, 5\]"),
        ("dil_conv_3x3", "conv_9x9", "`normal_5_op_2` .* but got 'conv_9x9'"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 7)", "`normal_5_inputs` .* but got '0-7'"),
    ],
)
def test_texts_that_are_no_genotype(old: str, new: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_string(DARTS_V2.replace(old, new, 1))


def test_graph_of_a_node_by_hand() -> None:
    graph = SPACE.to_graph(SPACE.from_string(DARTS_V2))
    assert graph.nodes["normal_5_2"]["operation"] == "dil_conv_3x3"
    assert list(graph.pred["normal_5_2"]) == ["normal_2"]
    assert sorted(graph.pred["normal_5"]) == ["normal_5_1", "normal_5_2"]
    assert sorted(graph.pred["reduce_output"]) == [f"reduce_{i}" for i in range(2, 6)]
    graph.add_edge("normal_2", "normal_3")
    with pytest.raises(ValueError, match="nodes and edges of a normal and a reduction cell"):
        SPACE.from_graph(graph)


# Size and arguments.


def test_sizes_in_closed_form() -> None:
    # Liu et al., section 2.4 and appendix: k (k+1) / 2 pairs of sources, 7 operations but none.
    without_none = DartsSpace(operations=[op for op in DARTS_OPERATIONS if op != "none"])
    assert without_none.size == (1 * 3 * 6 * 10 * 7**8) ** 2
    assert NASNET.size == (3 * 6 * 10 * 15 * 21 * 13**10) ** 2


def test_operations_are_the_published_ones() -> None:
    assert len(DARTS_OPERATIONS) == 8
    assert len(NASNET_OPERATIONS) == 13
    assert SPACE.operations == DARTS_OPERATIONS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n_nodes": 0}, "`n_nodes` to be in 1 to 6 but got 0"),
        ({"n_nodes": 7}, "`n_nodes` to be in 1 to 6 but got 7"),
        ({"operations": ()}, r"`operations` to be different names .* got \(\)"),
        ({"operations": "none"}, "`operations` to be different names .* got 'none'"),
        ({"operations": ("a", "a")}, "`operations` to be different names"),
        ({"operations": ("a b",)}, "`operations` to be different names"),
        ({"concat": "some"}, '`concat` to be "all" or "loose" but got \'some\''),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DartsSpace(**arguments)  # type: ignore[arg-type]


# The canonical key; that equal keys are equal functions is in the tests of the builder.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # `none` has no source.
        ("sep3 0 max 1; none 0 sep3 1", "sep3 0 max 1; none 2 sep3 1"),
        # Nodes may be renumbered.
        ("sep3 0 max 1; sep5 0 skip 1", "sep5 0 skip 1; sep3 0 max 1"),
        ("sep3 0 max 1; dil3 0 max 1; max 0 skip 2", "dil3 0 max 1; sep3 0 max 1; max 0 skip 3"),
        # Pooling of nothing is nothing.
        ("none 0 none 1; max 2 sep3 1", "none 0 none 1; none 0 sep3 1"),
        # A node that is only a skip connection is its source.
        ("none 0 skip 1; sep3 2 max 0", "none 0 skip 1; sep3 1 max 0"),
        ("none 0 skip 1; none 0 skip 2", "none 0 skip 1; none 0 skip 1"),
    ],
)
def test_equal_keys(one: str, other: str) -> None:
    assert key(one) == key(other)
    assert key(one) != key(one + "; dil5 0 dil5 1")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sep3 0 max 1", "sep3 1 max 0"),
        ("none 0 none 1; sep3 2 sep3 1", "none 0 none 1; none 0 sep3 1"),
        ("sep3 0 max 1; sep3 0 max 1; max 2 skip 3", "sep3 0 max 1; sep3 0 max 1; max 2 skip 0"),
    ],
)
def test_different_keys(one: str, other: str) -> None:
    assert key(one) != key(other)


def test_one_sum_used_twice_is_not_two_equal_sums() -> None:
    """They have weights of their own."""
    space = DartsSpace(n_nodes=3, distinct=False)
    twins = "('sep_conv_3x3',0),('sep_conv_3x3',1)"
    keys = {
        space.canonical_key(
            space.from_string(
                f"Genotype(normal=[{twins},{twins},('max_pool_3x3',2),('max_pool_3x3',{source})],"
                f"normal_concat=range(2,5),reduce=[{','.join([twins] * 3)}],"
                "reduce_concat=range(2,5))"
            )
        )
        for source in (2, 3)
    }
    assert len(keys) == 2


def test_skip_connections_on_inputs_of_a_reduction_cell_have_weights() -> None:
    one, other = "none 0 skip 1; sep3 2 max 0", "none 0 skip 1; sep3 1 max 0"
    assert key(one) == key(other)
    assert key("", reduce=one) != key("", reduce=other)
    assert key("", reduce="sep3 0 max 1; none 0 skip 2") == key(
        "", reduce="sep3 0 max 1; none 1 skip 2"
    )


def test_keys_of_a_small_space_group_what_a_brute_force_groups() -> None:
    """Over two nodes: a key is a class of the closure of the single rules."""
    space = DartsSpace(n_nodes=2, operations=("none", "skip_connect", "conv"))
    groups = defaultdict(set)
    for index in range(0, space.size, 7):
        architecture = space.architecture_at(index)
        normal = tuple(v for n, v in architecture.items() if n.startswith("normal"))
        groups[space.canonical_key(architecture).split("|")[0]].add(normal)
    assert sum(map(len, groups.values())) == 3 * 3**4
    for one, other in combinations(groups, 2):
        assert not groups[one] & groups[other]
    zeros = ("0-1", "none", "none")
    same = [group for group in groups.values() if (*zeros, *zeros) in group]
    # The second node: nothing by `none` from any pair, or `skip_connect` of the first node, or
    # either way round.
    expected = {(*zeros, p, "none", "none") for p in ("0-1", "0-2", "1-2")}
    expected |= {(*zeros, p, "none", "skip_connect") for p in ("0-2", "1-2")}
    assert same == [expected]


def test_keys_are_the_same_whatever_was_asked_before() -> None:
    rng = np.random.default_rng(0)
    fresh = DartsSpace.nasnet()
    for _ in range(20):
        architecture = NASNET.sample(rng)
        assert NASNET.canonical_key(architecture) == NASNET.canonical_key(architecture)
        assert NASNET.canonical_key(architecture) == fresh.canonical_key(architecture)
