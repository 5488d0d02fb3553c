"""Learning rate schedules by name."""

from __future__ import annotations

from itertools import pairwise
import math

import pytest

from lightning_modules.training import learning_rate_factor
from lightning_modules.training import SCHEDULES
from lightning_modules.training.schedule import check_name


def test_learning_rate_factor() -> None:
    assert learning_rate_factor("constant", 0.7) == 1
    assert learning_rate_factor("cosine", 0) == 1
    assert learning_rate_factor("cosine", 0.5) == pytest.approx(0.5)
    for schedule in ("cosine", "one_cycle"):
        assert learning_rate_factor(schedule, 1.0) == pytest.approx(0)
        assert learning_rate_factor(schedule, 1.5) == pytest.approx(0)
    with pytest.raises(ValueError, match=r"`schedule` .* but got 'linear'"):
        learning_rate_factor("linear", 0.5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_factors_are_in_range_and_continuous(schedule: str) -> None:
    factors = [learning_rate_factor(schedule, i / 1000) for i in range(1001)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1)
    assert max(abs(a - b) for a, b in pairwise(factors)) < 0.01


def test_one_cycle_rises_for_three_tenths() -> None:
    rising = [learning_rate_factor("one_cycle", i / 100) for i in range(31)]
    assert rising == sorted(rising)
    assert rising[0] == 0.04
    assert rising[15] == pytest.approx((0.04 + 1) / 2)
    assert rising[30] == pytest.approx(1)
    falling = [learning_rate_factor("one_cycle", 0.3 + 0.7 * i / 10) for i in range(11)]
    assert falling == pytest.approx([(1 + math.cos(math.pi * i / 10)) / 2 for i in range(11)])


def test_check_name() -> None:
    check_name("fruit", "pear", ("apple", "pear"))
    with pytest.raises(ValueError, match=r"`fruit` to be one of \['apple'\] but got 'pear'"):
        check_name("fruit", "pear", ("apple",))
