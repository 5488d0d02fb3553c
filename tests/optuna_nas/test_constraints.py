"""Constraints as text, which names them on trials and in the settings of a study."""

from __future__ import annotations

import math

import pytest

from optuna_nas import Constraint


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (100000, "100000"),
        (1e5, "100000"),
        (1e6, "1000000"),
        (1234567, "1234567"),
        (1234566.0, "1234566"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (10**20 + 1, "100000000000000000001"),
    ],
)
def test_text(bound: float, text: str) -> None:
    assert str(Constraint("params", upper=bound)) == f"params<={text}"
    assert str(Constraint("params", lower=bound)) == f"params>={text}"


@pytest.mark.parametrize("bound", [1234567, 0.1, 2.5e-7, 123456789.5, 1e300, 2**53])
def test_different_bounds_have_different_texts(bound: float) -> None:
    other = math.nextafter(bound, math.inf)
    assert str(Constraint("params", upper=bound)) != str(Constraint("params", upper=other))
