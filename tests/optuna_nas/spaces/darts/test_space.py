"""The space of normal and reduction cells: decisions, graph, size and arguments."""

from __future__ import annotations

import pytest

from optuna_nas import DartsSpace
from optuna_nas.spaces import darts_cells
from optuna_nas.spaces import DARTS_OPERATIONS
from optuna_nas.spaces import DARTS_V2


SPACE = DartsSpace()
NASNET = DartsSpace.nasnet()


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


def test_graph_of_a_node_by_hand() -> None:
    graph = SPACE.to_graph(SPACE.from_string(DARTS_V2))
    assert graph.nodes["normal_5_2"]["operation"] == "dil_conv_3x3"
    assert list(graph.pred["normal_5_2"]) == ["normal_2"]
    assert sorted(graph.pred["normal_5"]) == ["normal_5_1", "normal_5_2"]
    assert sorted(graph.pred["reduce_output"]) == [f"reduce_{i}" for i in range(2, 6)]
    graph.add_edge("normal_2", "normal_3")
    with pytest.raises(ValueError, match="nodes and edges of a normal and a reduction cell"):
        SPACE.from_graph(graph)


def test_sizes_in_closed_form() -> None:
    # Liu et al., section 2.4 and appendix: k (k+1) / 2 pairs of sources, 7 operations but none.
    without_none = DartsSpace(operations=[op for op in DARTS_OPERATIONS if op != "none"])
    assert without_none.size == (1 * 3 * 6 * 10 * 7**8) ** 2
    assert NASNET.size == (3 * 6 * 10 * 15 * 21 * 13**10) ** 2


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
