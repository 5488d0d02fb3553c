"""Pictures of regret against evaluations, one panel for each data set."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _nas_bench_201_runs import Run
from _nas_bench_201_samplers import STOCK
from _nas_bench_201_scores import mean_and_error
from _nas_bench_201_scores import Scorer
from _nas_bench_201_tables import datasets_of
from _nas_bench_201_tables import Runs
from _nas_bench_201_tables import samplers_of
from _nas_bench_201_tables import TITLES
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.ticker import LogLocator
from matplotlib.ticker import NullFormatter
import numpy as np


_FIRST = 5
"""Regret after fewer evaluations is chance and would take most of the picture."""
_GREYS = ["0.75", "0.0", "0.55", "0.35"]
_DASHES: list[Any] = [":", "--", "-.", (0, (5, 1, 1, 1, 1, 1))]
_COLORS = ["C0", "C1", "C2", "C3", "C4", "C5", "C6", "C8", "C9"]

Curve = Callable[[Scorer, Run, np.ndarray], np.ndarray]


def plot_regret(runs: Runs, scorers: Mapping[str, Scorer], path: Path) -> None:
    """Draw the regret in percentage points as PNG."""
    _plot(
        runs,
        scorers,
        path,
        label="regret in percentage points",
        curve=lambda scorer, run, ns: scorer.regret(run)[ns - 1],
        floor=Scorer.mean_floor,
        step=1,
    )


def plot_hypervolume(runs: Runs, scorers: Mapping[str, Scorer], path: Path) -> None:
    """Draw the hypervolume regret of accuracy and latency as PNG."""
    _plot(
        runs,
        scorers,
        path,
        label="hypervolume regret",
        curve=lambda scorer, run, ns: np.array([scorer.hypervolume_regret(run, n) for n in ns]),
        floor=None,
        step=5,
    )


def _plot(
    runs: Runs,
    scorers: Mapping[str, Scorer],
    path: Path,
    *,
    label: str,
    curve: Curve,
    floor: Callable[[Scorer], float] | None,
    step: int,
) -> None:
    datasets = datasets_of(runs)
    figure = Figure(figsize=(3.6 * len(datasets) + 1.6, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(datasets), squeeze=False)[0]
    for panel, dataset in zip(panels, datasets, strict=True):
        for sampler in samplers_of(runs):
            _draw(panel, runs, scorers[dataset], sampler, dataset, curve, step)
        _scale(panel)
        if floor is not None and floor(scorers[dataset]) > panel.get_ylim()[0]:
            panel.axhline(floor(scorers[dataset]), color="0.5", linewidth=0.8, label="floor")
        panel.set_title(TITLES[dataset])
        panel.set_xlabel("evaluations")
        panel.grid(visible=True, which="both", color="0.9", linewidth=0.6)
    panels[0].set_ylabel(label)
    lines = {line.get_label(): line for panel in panels for line in panel.get_lines()}
    figure.legend(lines.values(), lines, loc="outside right center", frameon=False)
    figure.savefig(path, dpi=150)


def _scale(panel: Axes) -> None:
    """Make the axis logarithmic, with plain numbers, and as long as the curves need it."""
    lowest = min(np.min(line.get_ydata()) for line in panel.get_lines())
    panel.set_yscale("log")
    if lowest > 0:
        panel.set_ylim(bottom=0.7 * lowest)
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _draw(
    panel: Axes,
    runs: Runs,
    scorer: Scorer,
    sampler: str,
    dataset: str,
    curve: Curve,
    step: int,
) -> None:
    group = runs[sampler, dataset]
    ns = np.arange(_FIRST, len(group[0].rows) + 1, step)
    mean, error = mean_and_error(np.array([curve(scorer, run, ns) for run in group]))
    if sampler in STOCK:
        position = STOCK.index(sampler)
        color, dashes, width = _GREYS[position], _DASHES[position], 1.4
    else:
        position = [name for name in samplers_of(runs) if name not in STOCK].index(sampler)
        color, dashes, width = _COLORS[position % len(_COLORS)], "-", 1.8
    panel.plot(ns, mean, label=sampler, color=color, linestyle=dashes, linewidth=width)
    if len(group) > 1:
        low = np.maximum(mean - error, mean / 2)  # The axis is logarithmic.
        panel.fill_between(ns, low, mean + error, color=color, alpha=0.12, linewidth=0)
