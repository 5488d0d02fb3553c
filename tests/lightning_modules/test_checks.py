"""Checks of numbers."""

from __future__ import annotations

import pytest

from lightning_modules._checks import check_at_least
from lightning_modules._checks import check_positive


def test_in_range() -> None:
    check_positive("n", 1)
    check_at_least("n", -2, -2)


def test_out_of_range() -> None:
    with pytest.raises(ValueError, match="argument `n` to be at least 1 but got 0"):
        check_positive("n", 0)
    with pytest.raises(ValueError, match="argument `seed` to be at least -2 but got -3"):
        check_at_least("seed", -3, -2)
