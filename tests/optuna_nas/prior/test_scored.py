"""Scored architectures: checks, and choices as indicators."""

from __future__ import annotations

import math

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import CellSpace
from optuna_nas import CustomSpace
from optuna_nas.prior._scored import check_scores
from optuna_nas.prior._scored import indicators


SPACE = CustomSpace(
    {"depth": IntDistribution(1, 2), "kernel": CategoricalDistribution([3, 5, 7])},
    active_if={"kernel": lambda params: params["depth"] == 2},
)
MEMBERS = [SPACE.architecture({"depth": d, "kernel": k}) for d, k in [(1, 3), (2, 5), (2, 7)]]


def test_indicators_by_hand() -> None:
    found = indicators(SPACE, MEMBERS)
    assert list(found) == ["depth", "kernel"]
    np.testing.assert_array_equal(found["depth"], [[1, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(found["kernel"], [[0, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_indicators_are_of_members() -> None:
    with pytest.raises(ValueError, match="an architecture of search space `cell`"):
        indicators(CellSpace(), MEMBERS)


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ([1.0, 2.0], "to be as many, at least 2, but got 3 and 2"),
        ([1.0, math.nan, 2.0], "`scores` to be numbers but got NaN"),
    ],
)
def test_wrong_scores(scores: list[float], sentence: str) -> None:
    check_scores(MEMBERS, [1.0, math.inf, -math.inf], least=2)
    with pytest.raises(ValueError, match=sentence):
        check_scores(MEMBERS, scores, least=2)
    with pytest.raises(ValueError, match="at least 2, but got 1 and 1"):
        check_scores(MEMBERS[:1], scores[:1], least=2)
