"""The prior that counts the choices of the best architectures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import MobileSpace
from optuna_nas.prior import prior_from_elite


SPACE = CellSpace()


def drawn(n: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(n)]


def test_it_is_the_share_of_each_choice_among_the_best() -> None:
    cells = drawn(100)
    scores = np.random.default_rng(1).normal(size=100)
    prior = prior_from_elite(SPACE, cells, scores.tolist(), n_elite=7, smoothing=0.5, floor=0.2)
    best = [cells[i] for i in sorted(range(100), key=lambda i: -scores[i])[:7]]
    assert prior.floor == 0.2
    for name in SPACE.distributions:
        for position, operation in enumerate(SPACE.operations):
            n = sum(cell[name] == operation for cell in best)
            assert prior[name][position] == pytest.approx((n + 0.5) / (7 + 5 * 0.5))


def test_only_the_order_counts_and_of_equals_the_earlier_is_better() -> None:
    cells = drawn(60)
    ranks = np.random.default_rng(2).permutation(60)
    first = prior_from_elite(SPACE, cells, ranks.tolist(), n_elite=5)
    second = prior_from_elite(SPACE, cells, np.exp(ranks / 7).tolist(), n_elite=5)
    assert first.to_json() == second.to_json()
    equal = prior_from_elite(SPACE, cells, [1.0] * 60, n_elite=5)
    assert equal.to_json() == prior_from_elite(SPACE, cells[:5], [1.0] * 5, n_elite=5).to_json()
    assert first.to_json() != equal.to_json()


def test_what_does_not_appear_among_the_best_is_uniform() -> None:
    space = MobileSpace()
    rng = np.random.default_rng(0)
    members = sorted((space.sample(rng) for _ in range(200)), key=len)
    prior = prior_from_elite(space, members, [-len(member) for member in members], n_elite=1)
    least = members[0]
    left_out = [name for name in space.distributions if name not in least]
    assert left_out
    for name in left_out:
        assert prior[name] == pytest.approx(np.full(len(prior[name]), 1 / len(prior[name])))
    assert prior.most_likely() == least


def test_worst_scores_may_be_infinite() -> None:
    cells = drawn(20)
    scores = [-math.inf] * 15 + [float(i) for i in range(5)]
    prior = prior_from_elite(SPACE, cells, scores, n_elite=5)
    assert prior.to_json() == prior_from_elite(SPACE, cells[15:], scores[15:]).to_json()


@pytest.mark.parametrize(
    ("scores", "arguments", "message"),
    [
        ([1.0, 2.0], {}, "as many, at least 1, but got 3 and 2"),
        ([1.0, math.nan, 2.0], {}, "`scores` to be numbers but got NaN"),
        ([1.0, 2.0, 3.0], {"n_elite": 0}, "`n_elite` to be at least 1 but got 0"),
        ([1.0, 2.0, 3.0], {"smoothing": 0.0}, "`smoothing` to be above 0 but got 0.0"),
        ([1.0, 2.0, 3.0], {"floor": 2.0}, "`floor`"),
    ],
)
def test_wrong_arguments(scores: list[float], arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prior_from_elite(SPACE, drawn(3), scores, **arguments)  # type: ignore[arg-type]


def test_no_architectures() -> None:
    with pytest.raises(ValueError, match="at least 1, but got 0 and 0"):
        prior_from_elite(SPACE, [], [])
