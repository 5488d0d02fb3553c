"""Figures of a whole study: the history of one objective, the front of several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
import math
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_FRONT = "#d1620f"
_FEASIBLE = "#5b8bc4"
_INFEASIBLE = "#9aa1ab"
_MAX_LABELS = 15  # Numbers beside the points of a front, if there are not more points.
_WIDE = 30  # Largest over smallest value from which an axis is logarithmic.
_MAX_OBJECTIVES = 5  # Of a scatter matrix; more would be too small to read.


class TrialPoint(NamedTuple):
    """What the figures need to know of a completed trial."""

    number: int
    values: tuple[float, ...]
    feasible: bool
    on_front: bool


def plot_study(
    points: Sequence[TrialPoint], objectives: Sequence[str], maximize: Sequence[bool]
) -> Figure:
    """Draw the history of one objective, the front of two, or all pairs of more.

    Args:
        points: The completed trials. Those with an infinite value are left out.
        objectives: Names of the objectives.
        maximize: For each objective whether more is better.

    Returns:
        A figure that no window manager knows.
    """
    from matplotlib.figure import Figure

    points = [point for point in points if all(map(math.isfinite, point.values))]
    labels = [
        f"{n} ({'max' if up else 'min'})" for n, up in zip(objectives, maximize, strict=True)
    ]
    n_objectives = min(len(objectives), _MAX_OBJECTIVES)
    n_panels = max(n_objectives - 1, 1)
    size = (6.4, 4.4) if n_panels == 1 else (2.4 * n_panels + 1.4, 2.2 * n_panels + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_panels, n_panels, squeeze=False)
    if n_objectives == 1:
        _plot_history(grid[0, 0], points, labels[0], maximize[0])
    for row in range(n_panels if n_objectives > 1 else 0):
        for column in range(n_panels):
            axes = grid[row, column]
            if column > row:
                axes.axis("off")
                continue
            xs, ys = ([point.values[i] for point in points] for i in (column, row + 1))
            _scatter(axes, points, xs, ys, best="Pareto front")
            axes.set(xscale=_scale(xs), yscale=_scale(ys))
            if row == n_panels - 1:
                axes.set_xlabel(labels[column])
            if column == 0:
                axes.set_ylabel(labels[row + 1])
    if n_objectives == 2:
        _mark_front(grid[0, 0], points, maximize)
    where = (
        {"loc": "outside upper center", "ncols": 4} if n_panels == 1 else {"loc": "upper right"}
    )
    figure.legend(*grid[0, 0].get_legend_handles_labels(), frameon=False, **where)
    return figure


def _plot_history(axes: Axes, points: Sequence[TrialPoint], label: str, maximize: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    _scatter(axes, points, [point.number for point in points], [p.values[0] for p in points])
    pick = max if maximize else min
    feasible = sorted(point for point in points if point.feasible)
    best = list(accumulate((point.values[0] for point in feasible), pick))
    numbers = [point.number for point in feasible]
    if best:
        numbers.append(max(point.number for point in points))
        best.append(best[-1])
    axes.step(numbers, best, where="post", color=_FRONT, linewidth=1.3, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    axes.set_ylabel(label)


def _scatter(
    axes: Axes,
    points: Sequence[TrialPoint],
    xs: Sequence[float],
    ys: Sequence[float],
    *,
    best: str = "best",
) -> None:
    """Draw infeasible trials faintly, the others as dots, and those of the front on top."""
    kinds = [2 if point.on_front else int(point.feasible) for point in points]
    styles: tuple[dict[str, Any], ...] = (
        {"marker": "x", "color": _INFEASIBLE, "s": 26, "linewidths": 1.0, "label": "infeasible"},
        {"marker": "o", "color": _FEASIBLE, "s": 22, "linewidths": 0, "label": "trial"},
        {"marker": "o", "color": _FRONT, "s": 36, "linewidths": 0, "label": best},
    )
    for kind, style in enumerate(styles):
        chosen = [i for i, k in enumerate(kinds) if k == kind]
        if chosen:
            axes.scatter([xs[i] for i in chosen], [ys[i] for i in chosen], alpha=0.85, **style)
    axes.grid(visible=True, color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _scale(values: Sequence[float]) -> str:
    """Choose a logarithmic axis for positive values of different magnitudes, e.g. ``params``."""
    wide = bool(values) and min(values) > 0 and max(values) > _WIDE * min(values)
    return "log" if wide else "linear"


def _mark_front(axes: Axes, points: Sequence[TrialPoint], maximize: Sequence[bool]) -> None:
    """Draw the edge of the dominated region and number the trials on it."""
    front: dict[tuple[float, float], list[str]] = {}
    for point in sorted(points, key=lambda point: (point.values, point.number)):
        if point.on_front:
            front.setdefault((point.values[0], point.values[1]), []).append(str(point.number))
    if not front:
        return
    xs, ys = zip(*front, strict=True)
    axes.step(xs, ys, where="pre" if maximize[0] else "post", color=_FRONT, linewidth=1.1)
    for place, numbers in front.items() if len(front) <= _MAX_LABELS else ():
        label = ", ".join(numbers[:3]) + (", ..." if len(numbers) > 3 else "")
        axes.annotate(label, place, xytext=(4, 4), textcoords="offset points", fontsize=8)
