"""The heat map of a prior: how likely each choice of each decision is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna_nas.prior import Prior
from optuna_nas.spaces import _choices


if TYPE_CHECKING:
    from matplotlib.figure import Figure


_ROW = 0.34  # Inches.
_FONT = 6.6  # Points.
_CHARACTER = 0.062  # Inches that one character takes.
_NARROWEST = 0.62  # Inches of a column.
_DARK = 0.55  # Probability from which the text in a cell is light.


def plot_prior(prior: Prior) -> Figure:
    """Draw a prior: a row for each decision, a cell for each choice.

    A cell says the choice's name and probability; its colour is the probability. Decisions with a
    single choice, and those that the prior says nothing about, are left out.

    Args:
        prior: The prior.

    Returns:
        A figure that no window manager knows.
    """
    from matplotlib.figure import Figure
    import numpy as np

    rows = _rows(prior)
    n_columns = max((len(cells) for cells in rows.values()), default=1)
    longest = max((len(name) for cells in rows.values() for name, _ in cells), default=1)
    column = max(_NARROWEST, _CHARACTER * longest + 0.12)
    left = _CHARACTER * max(map(len, rows), default=1) + 0.2
    title = f"Probability of each choice ({prior.space.name})"
    width = max(left + n_columns * column, 0.08 * len(title)) + 0.2
    height = max(len(rows), 1) * _ROW + 0.55
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes(
        (left / width, 0.1 / height, n_columns * column / width, (height - 0.55) / height)
    )
    values = np.full((max(len(rows), 1), n_columns), np.nan)
    for row, cells in enumerate(rows.values()):
        for i, (name, probability) in enumerate(cells):
            values[row, i] = probability
            color = "white" if probability > _DARK else "#22262c"
            text = f"{name}\n{probability:.2f}"
            axes.text(i, row, text, ha="center", va="center", fontsize=_FONT, color=color)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_yticks(range(len(rows)), list(rows), fontsize=_FONT + 0.8)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.text(0.15 / width, 1 - 0.3 / height, title, fontsize=_FONT + 2)
    return figure


def _rows(prior: Prior) -> dict[str, list[tuple[str, float]]]:
    """Return for each decision the names of its choices and their probabilities."""
    rows = {}
    for name, distribution in prior.space.distributions.items():
        if name in prior and len(prior[name]) > 1:
            rows[name] = [
                (str(_choices.choice_at(distribution, i)), float(probability))
                for i, probability in enumerate(prior[name])
            ]
    return rows
