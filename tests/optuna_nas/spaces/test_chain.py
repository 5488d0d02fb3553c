"""ChainSpace: its shorthand, its layers and what it refuses."""

from __future__ import annotations

from typing import Any

from hypothesis import given
import networkx as nx
import pytest

from optuna_nas import Architecture
from optuna_nas import ChainSpace
from optuna_nas.spaces import chain_layers
from tests.optuna_nas.spaces.space_table import draw
from tests.optuna_nas.spaces.space_table import EXAMPLES
from tests.optuna_nas.spaces.space_table import SEEDS


SPACE = ChainSpace()


@pytest.mark.parametrize(
    ("text", "explicit"),
    [
        ("C", "C16k3"),
        ("C-C-S-O", "C16k3-C16k3-Smax2-O64"),
        ("Ck5", "C16k5"),
        ("C8", "C8k3"),
        ("S2-Savg-Smax2", "Smax2-Savg2-Smax2"),
        (" C32k3 - O128\n", "C32k3-O128"),
        ("C08k03", "C8k3"),
        ("C-C-C-C-C-C-O-O", "C16k3-C16k3-C16k3-C16k3-C16k3-C16k3-O64-O64"),
    ],
)
def test_shorthand(text: str, explicit: str) -> None:
    architecture = SPACE.from_string(text)
    assert SPACE.to_string(architecture) == explicit
    assert SPACE.from_string(explicit) == architecture


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "layers like `C32k3` .* but got '' in ''"),
        ("-", "layers like `C32k3` .* but got ''"),
        ("C-", "layers like `C32k3` .* but got ''"),
        ("c32", "layers like `C32k3` .* but got 'c32' in 'c32'"),
        ("X", "layers like"),
        ("C32x3", "layers like"),
        ("C32k", "layers like"),
        ("C-1", "layers like .* but got '1'"),
        ("C3.5", "layers like"),
        ("Smin2", "layers like"),
        ("C３", "layers like"),
        ("C²", "layers like"),
        ("C" + "1" * 5000, "layers like"),
        ("C,O", "layers like"),
        ("C7", r"`layer_1_filters` .* one of \[8, 16, 32, 64\] but got 7"),
        ("C8k4", r"`layer_1_kernel_size` .* one of \[3, 5\] but got 4"),
        ("C-S3", r"`layer_2_pool_size` .* one of \[2\] but got 3"),
        ("C-O1", r"`dense_1_units` .* one of \[32, 64, 128\] but got 1"),
        ("O", "1 to 6 convolution and pooling layers .* but got 0 and 1"),
        ("C-C-C-C-C-C-C", "1 to 6 convolution .* `text` .'C-C-C-C-C-C-C'. but got 7 and 0"),
        ("C-O-O-O", "at most 2 fully connected layers .* but got 1 and 3"),
        ("C-O-C", r"fully connected layers \(O\) to come last in argument `text` \('C-O-C'\)"),
    ],
    ids=lambda text: text[:40],
)
def test_strings_that_are_no_chain(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_string(text)


def test_layers() -> None:
    architecture = SPACE.from_string("C8k5-Savg2-O32")
    layers = [
        {"type": "conv", "filters": 8, "kernel_size": 5},
        {"type": "pool", "pooling": "avg", "pool_size": 2},
        {"type": "dense", "units": 32},
    ]
    assert SPACE.layers(architecture) == layers
    shuffled = Architecture("chain", dict(sorted(architecture.items(), reverse=True)))
    assert chain_layers(shuffled) == layers


@EXAMPLES
@given(seed=SEEDS)
def test_conditions_by_hand(seed: int) -> None:
    architecture = draw(SPACE, seed)
    expected = {"depth", "dense_depth"}
    for i in range(1, int(architecture["depth"]) + 1):
        conv = architecture[f"layer_{i}_type"] == "conv"
        parts = ("filters", "kernel_size") if conv else ("pooling", "pool_size")
        expected |= {f"layer_{i}_{part}" for part in ("type", *parts)}
    expected |= {f"dense_{i}_units" for i in range(1, int(architecture["dense_depth"]) + 1)}
    assert set(architecture) == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"max_depth": 0}, "`max_depth` to be at least 1 but got 0"),
        ({"max_dense_depth": -1}, "`max_dense_depth` to be at least 0 but got -1"),
        ({"filters": ()}, r"`filters` to be different positive integers but got \[\]"),
        ({"filters": (8, 8)}, "`filters` to be different positive integers"),
        ({"filters": (8, 0)}, "`filters` to be different positive integers"),
        ({"filters": (8, 16.0)}, "`filters` to be different positive integers"),
        ({"filters": (True, 8)}, "`filters` to be different positive integers"),
        ({"filters": "88"}, "`filters` to be different positive integers"),
        ({"kernel_sizes": (3, 4)}, r"`kernel_sizes` to be different odd positive .* \[3, 4\]"),
        ({"pool_sizes": (-2,)}, "`pool_sizes` to be different positive integers"),
        ({"units": ("a",)}, "`units` to be different positive integers"),
        ({"units": ()}, "`units` to be different positive integers"),
        ({"poolings": ()}, r'`poolings` to be "max" or "avg" or both, each once, but got \[\]'),
        ({"poolings": ("max", "max")}, '`poolings` to be "max" or "avg"'),
        ({"poolings": ("max", "min")}, '`poolings` to be "max" or "avg"'),
        ({"poolings": "max"}, '`poolings` to be "max" or "avg"'),
    ],
)
def test_arguments_that_make_no_space(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ChainSpace(**arguments)


def _graph(**changes: Any) -> nx.DiGraph[Any]:
    """Return the graph of a chain with changed attributes of its first layer."""
    graph = SPACE.to_graph(SPACE.from_string("C8k5-O32"))
    for part, value in changes.items():
        if value is None:
            del graph.nodes[1][part]
        else:
            graph.nodes[1][part] = value
    return graph


def test_graph_by_hand() -> None:
    graph = _graph()
    assert list(graph.edges) == [(0, 1), (1, 2), (2, 3)]
    assert dict(graph.nodes[1]) == {
        "operation": "C8k5",
        "type": "conv",
        "filters": 8,
        "kernel_size": 5,
    }
    assert SPACE.to_string(SPACE.from_graph(graph)) == "C8k5-O32"


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        (nx.DiGraph(), "a path over the nodes 0, 1, 2"),
        (nx.DiGraph([(0, 1)]), "1 to 6 convolution .* argument `graph` but got 0 and 0"),
        (nx.DiGraph([(0, 1), (1, 2)]), "to hold the decision `layer_1_type`"),
        (nx.DiGraph([(0, 1), (0, 2)]), "a path over the nodes"),
        (nx.DiGraph([(1, 2), (2, 3)]), "a path over the nodes"),
        (nx.MultiDiGraph([(0, 1), (1, 2)]), "a path over the nodes"),
        (_graph(type=None), "to hold the decision `layer_1_type`"),
        (_graph(type="norm"), "`layer_1_type` .* but got 'norm'"),
        (_graph(type=["conv"]), r"`layer_1_type` .* but got \['conv'\]"),
        (_graph(type="dense"), "1 to 6 convolution .* argument `graph` but got 0 and 2"),
        (_graph(type="pool"), "to hold the decision `layer_1_pooling`"),
        (_graph(filters=None), "to hold the decision `layer_1_filters`"),
        (_graph(filters=9), "`layer_1_filters` .* but got 9"),
    ],
)
def test_graphs_that_are_no_chain(graph: nx.DiGraph[Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_graph(graph)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"max_depth": 1, "max_dense_depth": 0},
        {"max_depth": 17},
        {"max_depth": 60, "max_dense_depth": 9, "pool_sizes": (2, 3, 4), "poolings": ("max",)},
    ],
)
def test_size_of_chains_in_closed_form(arguments: dict[str, Any]) -> None:
    space = ChainSpace(**arguments)
    default: dict[str, Any] = {
        "max_depth": 6,
        "filters": (8, 16, 32, 64),
        "kernel_sizes": (3, 5),
        "poolings": ("max", "avg"),
        "pool_sizes": (2,),
        "max_dense_depth": 2,
        "units": (32, 64, 128),
    }
    a = default | arguments
    layer = len(a["filters"]) * len(a["kernel_sizes"]) + len(a["poolings"]) * len(a["pool_sizes"])
    convolutional = sum(layer**depth for depth in range(1, a["max_depth"] + 1))
    dense = sum(len(a["units"]) ** depth for depth in range(a["max_dense_depth"] + 1))
    assert space.size == convolutional * dense
