"""One size for pictures of many."""

from __future__ import annotations

import pytest

from lightning_modules.data._picture import Header
from lightning_modules.data._picture_size import choose_size


@pytest.mark.parametrize(
    ("sizes", "expected", "reason"),
    [
        ([(28, 31)] * 3, (28, 31), None),
        ([(128, 128)], (128, 128), None),
        ([(300, 200)] * 3, (128, 88), "The 3 pictures have 300x200 pixels: 128x88 is with no "),
        ([(20, 30), (22, 30), (60, 90)], (24, 32), "have 3 sizes from 20x30 to 60x90 pixels: 24x"),
        ([(480, 640), (640, 480)], (128, 128), "with no side above 128"),
        ([(3, 2), (2, 3)], (8, 8), "8x8 is their median"),
        ([(1000, 10), (1000, 11)], (128, 8), "128x8 is their median with no side above 128"),
    ],
)
def test_rule(sizes: list[tuple[int, int]], expected: tuple[int, int], reason: str | None) -> None:
    size, found = choose_size([Header(3, *size) for size in sizes])
    assert size == expected
    assert (found is None) if reason is None else (found is not None and reason in found)
