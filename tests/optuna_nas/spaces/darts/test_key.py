"""The canonical key of cells. That equal keys are equal functions is tested with the builder."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest

from optuna_nas import DartsSpace


SPACE = DartsSpace()
NASNET = DartsSpace.nasnet()
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
