"""The one size that pictures of many sizes get."""

from __future__ import annotations

from collections.abc import Sequence
import statistics

from lightning_modules.data._picture import Header


MAX_SIDE = 128
"""Longest side in pixels that is chosen unasked, as the time of a training grows with the area."""

_MULTIPLE = 8


def choose_size(headers: Sequence[Header]) -> tuple[tuple[int, int], str | None]:
    """Choose a height and a width for pictures.

    If all have one size, and no side of it is longer than :data:`MAX_SIDE`, they keep it. Else it
    is the median of the heights and that of the widths, both scaled down if one is longer than
    :data:`MAX_SIDE`, and rounded to a multiple of 8.

    Args:
        headers: What is known of each picture, at least one.

    Returns:
        Height and width, and the reason if pictures change their size.
    """
    heights, widths = ([header[axis] for header in headers] for axis in (1, 2))
    sizes = sorted({header[1:] for header in headers})
    if len(sizes) == 1 and max(sizes[0]) <= MAX_SIDE:
        return sizes[0], None
    median = statistics.median(heights), statistics.median(widths)
    scale = min(1, MAX_SIDE / max(median))
    height, width = (max(1, round(side * scale / _MULTIPLE)) * _MULTIPLE for side in median)
    if len(sizes) == 1:
        found = f"have {sizes[0][0]}x{sizes[0][1]} pixels"
        reason = f"with no side longer than {MAX_SIDE}"
    else:
        (least, least_width), (most, most_width) = sizes[0], sizes[-1]
        found = f"have {len(sizes)} sizes from {least}x{least_width} to {most}x{most_width} pixels"
        reason = "their median" if scale == 1 else f"their median with no side above {MAX_SIDE}"
    return (height, width), f"The {len(headers)} pictures {found}: {height}x{width} is {reason}."
