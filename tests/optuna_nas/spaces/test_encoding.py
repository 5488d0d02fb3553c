"""The string, graph, vector and JSON encodings: exact inverses, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
import json
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import networkx as nx
import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import Architecture
from optuna_nas import CustomSpace
from optuna_nas import SearchSpace
from optuna_nas.spaces._choices import MAX_NUMERICAL_CHOICES
from tests.optuna_nas.spaces.space_table import draw
from tests.optuna_nas.spaces.space_table import EXAMPLES
from tests.optuna_nas.spaces.space_table import SEEDS
from tests.optuna_nas.spaces.space_table import SMALL
from tests.optuna_nas.spaces.space_table import SPACES


all_spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
small_spaces = pytest.mark.parametrize("space", [SPACES[name] for name in SMALL], ids=SMALL)
FUZZ = settings(EXAMPLES, max_examples=60)

SPACE = CustomSpace(
    {
        "depth": IntDistribution(1, 3),
        "width": CategoricalDistribution((16, 32)),
        "rate": FloatDistribution(0, 1, step=0.25),
        "residual": CategoricalDistribution((True, False)),
    },
    active_if={"residual": lambda params: params["depth"] > 1},
)
"""The space of the tables of errors."""


def _assert_same(read: Architecture, written: Architecture) -> None:
    assert read == written
    assert list(read) == list(written)
    assert [type(choice) for choice in read.values()] == [type(c) for c in written.values()]


def _read_or_refuse(read: Callable[[Any], Architecture], encoded: Any) -> Architecture | None:
    """Only a ValueError with a sentence may come out of reading anything."""
    try:
        return read(encoded)
    except ValueError as error:
        sentence = str(error)
    assert sentence.startswith("Expected ")
    return None


# Round trips.


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_round_trips_are_exact(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    _assert_same(space.from_string(space.to_string(architecture)), architecture)
    _assert_same(space.from_graph(space.to_graph(architecture)), architecture)
    _assert_same(space.from_vector(space.to_vector(architecture)), architecture)
    _assert_same(space.from_json(space.to_json(architecture)), architecture)
    _assert_same(Architecture.from_json(architecture.to_json()), architecture)


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_strings_are_printable_and_read_with_space_around(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    text = space.to_string(architecture)
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set(" \n")
    assert space.from_string(f" {text}\n") == architecture


@small_spaces
def test_encodings_differ_between_architectures(space: SearchSpace) -> None:
    architectures = [space.architecture_at(index) for index in range(space.size)]
    assert len({space.to_string(a) for a in architectures}) == space.size
    assert len({space.to_json(a) for a in architectures}) == space.size
    assert len({space.to_vector(a).tobytes() for a in architectures}) == space.size


# The vector.


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_vectors_have_one_shape_and_stay_in_the_unit_cube(space: SearchSpace, seed: int) -> None:
    vector = space.to_vector(draw(space, seed))
    assert vector.dtype == np.float32
    assert vector.shape == (space.vector_size,)
    assert ((vector >= 0) & (vector <= 1)).all()


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_a_graph_carries_its_operations(space: SearchSpace, seed: int) -> None:
    graph = space.to_graph(draw(space, seed))
    assert isinstance(graph, nx.DiGraph)
    assert nx.is_directed_acyclic_graph(graph)
    assert graph.graph["space"] == space.name
    parts = graph.edges if space.name == "cell" else graph.nodes
    assert all(isinstance(data["operation"], str) for *_, data in parts(data=True))


def test_vector_by_hand() -> None:
    params = {"depth": 2, "width": 32, "rate": 0.25, "residual": False}
    vector = SPACE.to_vector(SPACE.architecture(params))
    assert vector.tolist() == [1, 0.5, 0, 1, 1, 0.25, 0, 1]
    vector = SPACE.to_vector(SPACE.architecture({"depth": 1, "width": 16, "rate": 0}))
    assert vector.tolist() == [1, 0, 1, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("index", [0, 1, 2, MAX_NUMERICAL_CHOICES // 2, MAX_NUMERICAL_CHOICES - 1])
def test_the_largest_numerical_decision_survives_float32(index: int) -> None:
    space = CustomSpace({"n": IntDistribution(5, MAX_NUMERICAL_CHOICES + 4)})
    architecture = space.architecture({"n": index + 5})
    assert space.from_vector(space.to_vector(architecture)) == architecture


def test_vectors_of_other_types_are_read() -> None:
    architecture = draw(SPACE, 0)
    vector = SPACE.to_vector(architecture)
    for other in (vector.tolist(), tuple(vector), vector.astype(np.float64)):
        assert SPACE.from_vector(other) == architecture


@pytest.mark.parametrize(
    ("vector", "sentence"),
    [
        ([], r"shape \(8,\) but got \(0,\)"),
        (np.zeros(7), r"shape \(8,\) but got \(7,\)"),
        (np.zeros((8, 1)), r"shape \(8,\) but got \(8, 1\)"),
        (0.0, r"shape \(8,\) but got \(\)"),
        (None, r"shape \(8,\) but got \(\)"),
        (["a"] * 8, "to be 8 numbers but got"),
        ([[1, 2], [3]], "to be 8 numbers but got"),
        (np.zeros(8), "to hold the decision `depth`"),
        (np.ones(8), "one choice of the decision `width` but got"),
        (np.full(8, np.nan), "one choice of the decision `depth` but got"),
        ([1, np.nan, 1, 0, 1, 0, 0, 0], "one choice of the decision `depth` but got"),
        ([1, np.inf, 1, 0, 1, 0, 0, 0], "one choice of the decision `depth` but got"),
        ([1, 1.5, 1, 0, 1, 0, 0, 0], "one choice of the decision `depth` but got"),
        ([1, -0.5, 1, 0, 1, 0, 0, 0], "one choice of the decision `depth` but got"),
        ([0.5, 0, 1, 0, 1, 0, 0, 0], "one choice of the decision `depth` but got"),
        ([0, 0.5, 1, 0, 1, 0, 0, 0], "one choice of the decision `depth` but got"),
        ([1, 0, 0.5, 0, 1, 0, 0, 0], "one choice of the decision `width` but got"),
        ([1, 0, -1, 1, 1, 0, 0, 0], "one choice of the decision `width` but got"),
        ([1, 0, 0, 0, 1, 0, 0, 0], "to hold the decision `width`"),
        ([1, 0, 1, 0, 1, 0, 1, 0], r"active decisions .* but got \['residual'\] beside"),
        ([1, 1, 1, 0, 1, 0, 0, 0], "to hold the decision `residual`"),
    ],
)
def test_vectors_that_are_no_architecture(vector: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_vector(vector)


@all_spaces
@FUZZ
@given(data=st.data())
def test_any_vector_is_a_member_or_a_value_error(space: SearchSpace, data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        entries = st.sampled_from([0.0, 1.0])
    else:
        entries = st.floats(width=32)
    vector = data.draw(st.lists(entries, min_size=space.vector_size, max_size=space.vector_size))
    architecture = _read_or_refuse(space.from_vector, np.array(vector, dtype=np.float32))
    assert architecture is None or space.contains(architecture)


# The string.


def test_string_by_hand() -> None:
    architecture = SPACE.architecture({"depth": 2, "width": 32, "rate": 0.25, "residual": False})
    assert SPACE.to_string(architecture) == "depth=2,width=32,rate=0.25,residual=False"
    assert SPACE.from_string("residual=False, rate=2.5e-1, width=32, depth=2,") == architecture


def test_string_with_quoting_by_hand() -> None:
    space = CustomSpace({"a,b=c": CategoricalDistribution(("x y", "ü"))})
    assert space.to_string(space.architecture({"a,b=c": "x y"})) == "a%2Cb%3Dc=x%20y"
    assert space.from_string("a%2Cb%3Dc=%C3%BC")["a,b=c"] == "ü"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "to hold the decision `depth`"),
        ("depth", "to be decision=choice pairs .* but got 'depth'"),
        ("depth=1,width", "to be decision=choice pairs .* but got 'width'"),
        ("depth:1", "to be decision=choice pairs .* but got 'depth:1'"),
        ("Depth=1", "to be decision=choice pairs .* but got 'Depth=1'"),
        ("=1", "to be decision=choice pairs .* but got '=1'"),
        ("depth=1,depth=1", "to be decision=choice pairs .* but got 'depth=1'"),
        ("depth=1;width=16;rate=0", "`depth` .* one of .* but got '1;width=16;rate=0'"),
        ("depth=1,width=16", "to hold the decision `rate`"),
        ("depth=4,width=16,rate=0", r"`depth` .* one of \[1, 2, 3\] but got 4"),
        ("depth=,width=16,rate=0", "`depth` .* one of .* but got ''"),
        ("depth=one,width=16,rate=0", "`depth` .* one of .* but got 'one'"),
        ("depth=1.5,width=16,rate=0", "`depth` .* one of .* but got 1.5"),
        ("depth=1e999,width=16,rate=0", "`depth` .* one of .* but got inf"),
        ("depth=nan,width=16,rate=0", "`depth` .* one of .* but got 'nan'"),
        ("depth=" + "1" * 5000 + ",width=16,rate=0", "`depth` .* one of .* but got '1111"),
        ("depth=1,width=17,rate=0", r"`width` .* one of \[16, 32\] but got '17'"),
        ("depth=1,width=16.0,rate=0", "`width` .* but got '16.0'"),
        ("depth=1,width=16,rate=0.3", r"`rate` .* one of \[0.0, 0.25, 0.5, 0.75, 1.0\] but got"),
        ("depth=1,width=16,rate=0,residual=True", r"but got \['residual'\] beside"),
        ("depth=2,width=16,rate=0,residual=1", r"one of \[True, False\] but got '1'"),
        ("depth=2,width=16,rate=0,residual=true", r"one of \[True, False\] but got 'true'"),
        ("%ff=1", "to be decision=choice pairs"),
    ],
    ids=lambda text: text[:40],
)
def test_strings_that_are_no_architecture(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_string(text)


@st.composite
def near_strings(draw_: st.DrawFn, space: SearchSpace) -> str:
    """A valid string with a piece replaced, so that more than the first check is met."""
    text = space.to_string(draw(space, draw_(SEEDS)))
    start = draw_(st.integers(0, len(text)))
    stop = draw_(st.integers(start, min(start + 3, len(text))))
    piece = draw_(st.text(max_size=3) | st.text("CSOk0123456789-+|~,=%maxvge_²３", max_size=4))
    return text[:start] + piece + text[stop:]


@all_spaces
@FUZZ
@given(data=st.data())
def test_any_string_is_a_member_or_a_value_error(space: SearchSpace, data: st.DataObject) -> None:
    text = data.draw(st.text() | near_strings(space))
    for read in (space.from_string, space.from_json):
        architecture = _read_or_refuse(read, text)
        if architecture is not None:
            _assert_same(space.from_string(space.to_string(architecture)), architecture)


# JSON.


@all_spaces
def test_json_of_another_order_or_number_type_is_read_as_the_member(space: SearchSpace) -> None:
    architecture = draw(space, 11)
    params = {
        name: float(choice) if type(choice) is int else choice
        for name, choice in reversed(list(architecture.items()))
    }
    text = json.dumps({"space": space.name, "params": params})
    _assert_same(space.from_json(text), architecture)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], 'JSON object with "space" and "params" but got'),
        ({"space": "custom"}, 'JSON object with "space" and "params" but got'),
        ({"space": "custom", "params": {}}, "to hold the decision `depth`"),
        (
            {"space": "cell", "params": {"depth": 1, "width": 16, "rate": 0}},
            "an architecture of search space `custom` but got",
        ),
        (
            {"space": "custom", "params": {"depth": 9, "width": 16, "rate": 0}},
            "`depth` .* but got 9",
        ),
        (
            {"space": "custom", "params": {"depth": float("nan"), "width": 16, "rate": 0}},
            "`depth` .* but got nan",
        ),
        (
            {"space": "custom", "params": {"depth": 1, "width": "16", "rate": 0}},
            "`width` .* but got '16'",
        ),
        (
            {"space": "custom", "params": {"depth": 1, "width": 16, "rate": 0, "residual": True}},
            r"but got \['residual'\] beside",
        ),
    ],
)
def test_json_that_is_no_member(data: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_json(json.dumps(data))


# The graph.


def test_graph_by_hand() -> None:
    graph = SPACE.to_graph(SPACE.architecture({"depth": 1, "width": 16, "rate": 0.5}))
    assert list(graph.edges) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert [data["operation"] for _, data in graph.nodes(data=True)] == [
        "input",
        "depth=1",
        "width=16",
        "rate=0.5",
        "output",
    ]
    assert (graph.nodes[2]["decision"], graph.nodes[2]["choice"]) == ("width", 16)


def _graph(**changes: Any) -> nx.DiGraph[Any]:
    """Return a valid graph of ``SPACE`` with changed attributes of node 2."""
    graph = SPACE.to_graph(SPACE.architecture({"depth": 1, "width": 16, "rate": 0.5}))
    graph.nodes[2].update(changes)
    return graph


def _edited(edit: str, *arguments: Any) -> nx.DiGraph[Any]:
    graph = _graph()
    getattr(graph, edit)(*arguments)
    return graph


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        (nx.DiGraph(), "a path over the nodes 0, 1, 2, ... but got the nodes"),
        (nx.DiGraph({0: []}), "a path over the nodes"),
        (nx.DiGraph([(0, 1)]), "to hold the decision `depth`"),
        (nx.DiGraph([("input", "output")]), "a path over the nodes"),
        (nx.MultiDiGraph([(0, 1), (0, 1)]), "a path over the nodes"),
        (_edited("remove_edge", 1, 2), "a path over the nodes"),
        (_edited("add_edge", 0, 2), "a path over the nodes"),
        (_edited("add_edge", 4, 0), "a path over the nodes"),
        (_edited("add_node", 5), "a path over the nodes"),
        (_edited("add_node", "x"), "a path over the nodes"),
        (_edited("remove_node", 4), "to hold the decision `rate`"),
        (_edited("add_edge", 4, 5), "one node for each of the active decisions .* but got"),
        (_graph(decision="residual"), "to hold the decision `width`"),
        (_graph(decision="depth"), "`depth` .* but got 16"),
        (_graph(decision=None), "to hold the decision `width`"),
        (_graph(decision=["width"]), "to hold the decision `width`"),
        (_graph(choice=None), "`width` .* but got None"),
        (_graph(choice=[16]), r"`width` .* but got \[16\]"),
        (_graph(choice="16"), "`width` .* but got '16'"),
    ],
)
def test_graphs_that_are_no_architecture(graph: nx.DiGraph[Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_graph(graph)


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_a_graph_may_carry_more_attributes(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    graph = space.to_graph(architecture)
    nx.set_node_attributes(graph, (0.0, 1.0), "pos")
    nx.set_edge_attributes(graph, "red", "color")
    _assert_same(space.from_graph(graph), architecture)


@all_spaces
def test_a_graph_of_another_space(space: SearchSpace) -> None:
    for other in SPACES.values():
        architecture = _read_or_refuse(space.from_graph, other.to_graph(draw(other, 0)))
        assert architecture is None or space.contains(architecture)


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_what_is_no_member_has_no_encoding(space: SearchSpace, seed: int) -> None:
    architecture = Architecture(space.name, {**draw(space, seed), "unknown": 1})
    for write in (space.to_string, space.to_graph, space.to_vector, space.to_json):
        with pytest.raises(ValueError, match=r"active decisions .* \['unknown'\] beside them"):
            write(architecture)
