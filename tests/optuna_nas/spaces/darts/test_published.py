"""Published genotypes and operations are members."""

from __future__ import annotations

import pytest

from optuna_nas import DartsSpace
from optuna_nas.spaces import AMOEBANET_A
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


def test_operations_are_the_published_ones() -> None:
    assert len(DARTS_OPERATIONS) == 8
    assert len(NASNET_OPERATIONS) == 13
    assert SPACE.operations == DARTS_OPERATIONS
