"""Checks of arguments name the argument, what was expected, and what came."""

from __future__ import annotations

import pytest

from lightning_modules._checks import check_at_least
from lightning_modules._checks import check_positive


def test_values_in_range() -> None:
    check_positive("size", 1)
    check_at_least("seed", 0, 0)


def test_values_out_of_range() -> None:
    with pytest.raises(ValueError, match="argument `size` to be at least 1 but got 0"):
        check_positive("size", 0)
    with pytest.raises(ValueError, match="argument `seed` to be at least 3 but got 2"):
        check_at_least("seed", 2, 3)
