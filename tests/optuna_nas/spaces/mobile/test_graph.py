"""Graphs that are no architecture."""

from __future__ import annotations

from typing import Any

import pytest

from optuna_nas import MobileSpace


SPACE = MobileSpace()


@pytest.mark.parametrize(
    ("node", "changes", "sentence"),
    [
        (1, {"stage": 2}, "argument `graph`"),
        (2, {"width": 24}, "nodes of a stem, blocks by stage and a head"),
        (1, {"kernel": None}, "`stage_1_block_1_kernel` .* but got None"),
        (1, {"type": "skip"}, "no skipped block"),
        (0, {"style": ["fbnet"]}, "`style` .* but got"),
        (3, {"stage": 0}, "argument `graph`|nodes of a stem"),
    ],
)
def test_graphs_that_are_no_architecture(
    node: int, changes: dict[str, Any], sentence: str
) -> None:
    text = (
        "mobilenet_v3|stem16s1|16s1(k3e2_relu,k3e4_relu)|32s2(k3e4_relu)|64s2(k5e4_relu)|head128"
    )
    graph = SPACE.to_graph(SPACE.from_string(text))
    graph.nodes[node + 1].update(changes)
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_graph(graph)
