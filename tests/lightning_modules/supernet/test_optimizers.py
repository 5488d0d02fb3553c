"""The schedules of a supernet's learning rate."""

from __future__ import annotations

import math

import pytest

from lightning_modules.supernet import supernet_rate_factor
from lightning_modules.supernet import SUPERNET_SCHEDULES


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("cosine", {0: 1, 0.25: 0.5 + math.sqrt(0.5) / 2, 0.5: 0.5, 1: 0}),
        ("warm_up_cosine", {0: 1 / 11, 0.05: 6 / 11, 0.1: 1, 0.55: 0.5, 1: 0}),
        ("constant_exponential", {0: 1, 0.5: 1, 0.75: 0.1, 0.875: 10**-1.5, 1: 0.01}),
    ],
)
def test_schedules(schedule: str, expected: dict[float, float]) -> None:
    assert set(SUPERNET_SCHEDULES) == {"cosine", "warm_up_cosine", "constant_exponential"}
    for progress, factor in expected.items():
        assert supernet_rate_factor(schedule, progress) == pytest.approx(factor, abs=1e-12)


def test_wrong_schedule() -> None:
    with pytest.raises(ValueError, match=r"Expected argument `schedule` .* but got 'linear'"):
        supernet_rate_factor("linear", 0)
