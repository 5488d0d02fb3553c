"""Mean of ranks and votes, against counting one pair after the other."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from lightning_modules import rank_aggregate
from lightning_modules import vote
from lightning_modules import vote_aggregate


INFINITY = float("inf")
# Few different values, so that many are equal.
VALUES = st.sampled_from([-INFINITY, -3.0, 0.0, 0.5, 1e30, 1e31])
SCORES = st.integers(1, 7).flatmap(
    lambda n: st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.lists(VALUES, min_size=n, max_size=n),
        min_size=1,
    )
)


def slow_vote(scores: Mapping[str, Sequence[float]], i: int, j: int) -> int:
    balance = 0
    for row in scores.values():
        if row[i] > row[j]:
            balance += 1
        elif row[i] < row[j]:
            balance -= 1
    return 1 if balance > 0 else -1 if balance < 0 else 0


@given(scores=SCORES)
def test_ranks_by_counting(scores: dict[str, list[float]]) -> None:
    n = len(next(iter(scores.values())))
    ranks = [
        [1 + sum(x < value for x in row) + (row.count(value) - 1) / 2 for value in row]
        for row in scores.values()
    ]
    expected = [sum(column) / len(scores) for column in zip(*ranks, strict=True)]
    found = rank_aggregate(scores)
    assert found.shape == (n,)
    assert found == pytest.approx(expected)


@given(scores=SCORES)
def test_votes_by_counting(scores: dict[str, list[float]]) -> None:
    n = len(next(iter(scores.values())))
    expected = [sum(slow_vote(scores, i, j) for j in range(n)) for i in range(n)]
    assert vote_aggregate(scores).tolist() == expected
    first, last = ({name: row[i] for name, row in scores.items()} for i in (0, n - 1))
    assert vote(first, last) == slow_vote(scores, 0, n - 1)
    assert vote(last, first) == -vote(first, last)


def test_of_one_proxy_both_keep_its_order() -> None:
    scores = {"a": [0.3, -INFINITY, 7.0, 1.0]}
    assert rank_aggregate(scores).tolist() == [2, 1, 4, 3]
    assert vote_aggregate(scores).tolist() == [-1, -3, 3, 1]


def test_two_of_three_win() -> None:
    first = {"synflow": 2.0, "jacob_cov": -90.0, "snip": 1.1}
    second = {"snip": 1.0, "synflow": 1.0, "jacob_cov": -66.0}
    assert vote(first, second) == 1


def test_scores_of_numpy() -> None:
    scores = {"a": np.array([3, 1, 2]), "b": np.array([3.0, 1.0, 2.0])}
    assert rank_aggregate(scores).tolist() == [3, 1, 2]  # type: ignore[arg-type]


@pytest.mark.parametrize("aggregate", [rank_aggregate, vote_aggregate])
@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "for each proxy but got {}"),
        ({"a": []}, "but got {'a': 0}"),
        ({"a": [1.0], "b": [1.0, 2.0]}, "but got {'a': 1, 'b': 2}"),
        ({"a": [1.0], "b": [float("nan")]}, r"without NaN but got some of \['b'\]"),
    ],
)
def test_wrong_scores(aggregate: Any, scores: dict[str, list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=f"Expected argument `scores` to .*{message}"):
        aggregate(scores)


def test_votes_of_different_proxies() -> None:
    with pytest.raises(ValueError, match=r"`second` to have scores of .*\['a'\] but got \['b'\]"):
        vote({"a": 1.0}, {"b": 1.0})
    with pytest.raises(ValueError, match="without NaN"):
        vote({"a": 1.0}, {"a": float("nan")})
