"""Rewards and scalarizations, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from optuna_nas.samplers.policy import ChebyshevScalarization
from optuna_nas.samplers.policy import MnasNetScalarization
from optuna_nas.samplers.policy import Outcomes
from optuna_nas.samplers.policy import RankReward
from optuna_nas.samplers.policy import ScoreReward


def outcomes(values: Any, n_new: int, maximize: tuple[bool, ...] = (True,)) -> Outcomes:
    array = np.array(values, dtype=float)
    array = array.reshape(len(array), -1)
    return Outcomes(array, np.array(maximize), n_new, block=0)


def test_rank_reward_by_hand() -> None:
    np.testing.assert_allclose(RankReward()(outcomes([1, 5, 3, 3, 9], 3)), [-1 / 4, -1 / 4, 1])
    np.testing.assert_allclose(RankReward()(outcomes([1, 5, 9], 1, (False,))), [-1])
    np.testing.assert_allclose(RankReward(window=2)(outcomes([0, 5, 3], 1)), [-1])
    np.testing.assert_allclose(RankReward(window=1)(outcomes([5, 3, 4], 2)), [-1, 1])
    np.testing.assert_allclose(RankReward()(outcomes([7], 1)), [0])
    extremes = RankReward()(outcomes([math.inf, -math.inf, 0], 3))
    np.testing.assert_allclose(extremes, [1, -1, 0])


def test_mnasnet_by_hand() -> None:
    product = MnasNetScalarization(target=80.0)
    found = product(outcomes([[0.75, 80], [0.75, 160], [0.75, 40]], 3, (True, False)))
    np.testing.assert_allclose(found, [0.75, 0.75 * 2**-0.07, 0.75 * 2**0.07])
    other = MnasNetScalarization(target=10.0, exponent=-1, quality=1, latency=0)
    np.testing.assert_allclose(other(outcomes([[20, 0.5]], 1, (False, True))), [0.25])
    reward = ScoreReward(product, factor=2.0)
    found = reward(outcomes([[0.7, 80], [0.75, 80]], 1, (True, False)))
    np.testing.assert_allclose(found, [1.5])


def test_chebyshev_prefers_what_dominates_and_changes_its_weights() -> None:
    scalarize = ChebyshevScalarization()
    values = [[0.9, 10], [0.8, 20], [0.5, 5], [0.9, math.inf]]
    orders = set()
    for block in range(30):
        given = outcomes(values, 4, (True, False))
        scores = scalarize(Outcomes(given.values, given.maximize, 4, block))
        assert scores[0] > scores[1]
        assert scores[0] >= scores[3]
        assert np.isfinite(scores).all()
        orders.add(bool(scores[0] > scores[2]))
        again = ChebyshevScalarization()(Outcomes(given.values, given.maximize, 4, block))
        np.testing.assert_array_equal(scores, again)
    assert orders == {True, False}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RankReward(window=0), "`window` to be at least 1 but got 0"),
        (lambda: MnasNetScalarization(0), "`target` to be above 0 but got 0"),
        (lambda: MnasNetScalarization(1, exponent=1), "`exponent` to be at most 0 but got 1"),
    ],
)
def test_wrong_arguments_of_rewards(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()
