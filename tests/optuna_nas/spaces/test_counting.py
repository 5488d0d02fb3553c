"""Exact counting with conditions that look at the earlier decisions in every way."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import time
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from tests.optuna_nas.spaces.space_table import enumerate_params


Params = Mapping[str, Any]
Condition = Callable[[Params], bool]


# How a condition may look at its earlier decisions: given two of their names and a number.
READS: dict[str, Callable[[str, str, int], Condition]] = {
    "always": lambda a, b, k: lambda p: True,
    "never": lambda a, b, k: lambda p: False,
    "item": lambda a, b, k: lambda p: p[a] == k,  # KeyError where `a` is inactive.
    "item of item": lambda a, b, k: lambda p: p[a] == k or p[b] == k,
    "get": lambda a, b, k: lambda p: p.get(a) != k,
    "get default": lambda a, b, k: lambda p: p.get(a, k) == p.get(b, 0),
    "in": lambda a, b, k: lambda p: a in p,
    "not in": lambda a, b, k: lambda p: a not in p and p.get(b) != k,
    "len": lambda a, b, k: lambda p: len(p) != k,
    "truth": lambda a, b, k: lambda p: bool(p),
    "iterate": lambda a, b, k: lambda p: sum(name != a for name in p) > k,
    "iterate halfway": lambda a, b, k: lambda p: next(iter(p), None) == a,
    "keys": lambda a, b, k: lambda p: a in p.keys(),  # noqa: SIM118
    "values": lambda a, b, k: lambda p: sum(p.values()) % 3 != k,
    "items": lambda a, b, k: lambda p: (a, k) in p.items(),
    "unpack": lambda a, b, k: lambda p: {**p}.get(a) == k,
    "equal": lambda a, b, k: lambda p: p == {a: k},
    "last": lambda a, b, k: lambda p: list(p)[-1:] == [a],
    "try": lambda a, b, k: lambda p: _item_or(p, a, b) != k,
    "depends": lambda a, b, k: lambda p: bool(p[a] if k in p.values() else p.get(b)),
    "unknown": lambda a, b, k: lambda p: p.get("unknown") is None and p.get(0) is None,
    "itself": lambda a, b, k: lambda p: "decision 0" not in p or p.get(a) == k,
}


def _item_or(params: Params, name: str, other: str) -> Any:
    try:
        return params[name]
    except KeyError:
        return params.get(other)


@st.composite
def conditional_spaces(draw: st.DrawFn) -> CustomSpace:
    names = [f"decision {i}" for i in range(draw(st.integers(1, 7)))]
    distributions: dict[str, BaseDistribution] = {}
    active_if = {}
    for i, name in enumerate(names):
        n_choices = draw(st.integers(1, 3))
        distributions[name] = (
            IntDistribution(0, n_choices - 1)
            if draw(st.booleans())
            else CategoricalDistribution(tuple(range(n_choices)))
        )
        if i:
            earlier = st.sampled_from(names[:i])
            read = READS[draw(st.sampled_from(sorted(READS)))]
            active_if[name] = read(draw(earlier), draw(earlier), draw(st.integers(0, 2)))
    return CustomSpace(distributions, active_if=active_if)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(space=conditional_spaces())
def test_size_and_numbering_are_those_of_an_enumeration(space: CustomSpace) -> None:
    expected = enumerate_params(space)
    assert space.size == len(expected)
    assert [dict(space.architecture_at(i)) for i in range(space.size)] == expected


@pytest.mark.parametrize("read", READS)
def test_each_way_to_look_at_earlier_decisions(read: str) -> None:
    names = [f"decision {i}" for i in range(6)]
    distributions = {name: IntDistribution(0, 2) for name in names}
    active_if = {
        name: READS[read](names[(i * 2) % i], names[i - 1], i % 3)
        for i, name in enumerate(names)
        if i
    }
    space = CustomSpace(distributions, active_if=active_if)
    expected = enumerate_params(space)
    assert space.size == len(expected)
    assert [dict(space.architecture_at(i)) for i in range(space.size)] == expected


# Conditions that look up what is not there.


def test_a_decision_that_hangs_on_an_inactive_one_is_inactive() -> None:
    space = CustomSpace(
        {name: IntDistribution(0, 1) for name in "abc"},
        active_if={"b": lambda p: p["a"] == 1, "c": lambda p: p["b"] == 0},
    )
    assert space.size == 1 + 1 + 2
    assert space.to_string(space.architecture({"a": 0, "b": 0, "c": 0})) == "a=0"


@pytest.mark.parametrize("name", ["c", "typo", 3, ("a",)])
def test_a_condition_looks_at_earlier_decisions_only(name: Any) -> None:
    space = CustomSpace(
        {name: IntDistribution(0, 1) for name in "abc"}, active_if={"b": lambda p: p[name]}
    )
    with pytest.raises(ValueError, match=r"condition of decision `b` .* before it, \['a'\], but"):
        _ = space.size
    with pytest.raises(ValueError, match="condition of decision `b`"):
        space.from_string("a=0,b=1,c=1")


def test_a_key_error_of_another_mapping_is_not_taken_for_an_inactive_decision() -> None:
    widths = {0: 8}
    space = CustomSpace(
        {"a": IntDistribution(0, 1), "b": IntDistribution(0, 1)},
        active_if={"b": lambda p: widths[p["a"]] > 4},
    )
    with pytest.raises(ValueError, match="but got 1"):
        _ = space.size


# Work and depth.


def _chain_of_conditions(n: int) -> CustomSpace:
    def follows(i: int) -> Condition:
        return lambda params: params.get(f"d{i - 1}", 1) != 0

    return CustomSpace(
        {f"d{i}": IntDistribution(0, 2) for i in range(n)},
        active_if={f"d{i}": follows(i) for i in range(1, n)},
    )


@pytest.mark.parametrize("n", [1, 2, 200, 1000])
def test_a_chain_of_conditions_is_counted_in_no_time(n: int) -> None:
    started = time.perf_counter()
    size = _chain_of_conditions(n).size
    assert time.perf_counter() - started < 5
    # After a 0 the next decision is skipped, and the one after that is made.
    made, skipped = 1, 1  # Completions of nothing.
    for _ in range(n):
        made, skipped = 2 * made + skipped, made
    assert size == made


def test_more_decisions_than_python_has_stack() -> None:
    space = ChainSpace(max_depth=120, max_dense_depth=100)
    assert len(space.distributions) > 700
    layers = sum(10**depth for depth in range(1, 121))
    assert space.size == layers * sum(3**depth for depth in range(101))
    architecture = space.architecture_at(space.size - 1)
    assert architecture["depth"] == 120
    assert space.from_string(space.to_string(architecture)) == architecture


def test_the_last_decision_may_hang_on_the_first() -> None:
    names = [f"d{i}" for i in range(60)]
    space = CustomSpace(
        {name: IntDistribution(0, 3) for name in names},
        active_if={"d59": lambda params: params["d0"] == 3},
    )
    assert space.size == 3 * 4**58 + 4 * 4**58


def test_reading_the_number_of_decisions_is_no_explosion_where_there_is_none() -> None:
    space = CustomSpace(
        {f"d{i}": IntDistribution(0, 1) for i in range(200)},
        active_if={f"d{i}": lambda params: len(params) < 3 for i in range(200)},
    )
    assert space.size == 8


@pytest.mark.slow
def test_conditions_that_look_at_everything_are_an_error_and_no_hang() -> None:
    space = CustomSpace(
        {f"d{i}": IntDistribution(0, 1) for i in range(200)},
        active_if={f"d{i}": lambda params: sum(params.values()) % 4 < 3 for i in range(200)},
    )
    assert len(space.complete({})) == 200  # Everything else works.
    started = time.perf_counter()
    with pytest.raises(ValueError, match="conditions .* look at few decisions each, but"):
        _ = space.size
    assert time.perf_counter() - started < 30
