"""Tables of the results, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from _nas_bench_201_runs import Run
from _nas_bench_201_scores import mean_and_error
from _nas_bench_201_scores import Scorer
import numpy as np
import rich.table


TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet16-120"}

Runs = Mapping[tuple[str, str], Sequence[Run]]
"""The runs by sampler and data set."""


@dataclass(frozen=True)
class Table:
    """A table of text.

    Args:
        title: What it shows.
        columns: Names of the columns.
        rows: One text for each column.
        caption: How to read it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def to_rich(self) -> rich.table.Table:
        """Return it for a terminal."""
        table = rich.table.Table(title=self.title, caption=self.caption, title_justify="left")
        for position, column in enumerate(self.columns):
            table.add_column(column, justify="left" if position == 0 else "right", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table

    def to_markdown(self) -> str:
        """Return it for a README."""
        lines = [self.columns, ["---"] + ["---:"] * (len(self.columns) - 1), *self.rows]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"**{self.title}**\n\n{body}\n\n{self.caption}\n"


def samplers_of(runs: Runs) -> list[str]:
    """Return the names of the samplers in order."""
    return list(dict.fromkeys(sampler for sampler, _ in runs))


def datasets_of(runs: Runs) -> list[str]:
    """Return the names of the data sets in order."""
    return list(dict.fromkeys(dataset for _, dataset in runs))


def _with_error(mean: float, error: float, *, digits: int) -> str:
    shown = f"{mean:.{digits}f}"
    return shown if np.isnan(error) else f"{shown} ± {error:.{digits}f}"


def regret_tables(
    runs: Runs, scorers: Mapping[str, Scorer], evaluations: Sequence[int]
) -> list[Table]:
    """Return a table for each data set: samplers x evaluations, regret in percentage points."""
    tables = []
    for dataset in datasets_of(runs):
        rows = []
        for sampler in samplers_of(runs):
            group = runs[sampler, dataset]
            curves = np.array([scorers[dataset].regret(run) for run in group])
            mean, error = mean_and_error(curves)
            cells = [_with_error(mean[n - 1], error[n - 1], digits=2) for n in evaluations]
            rows.append([sampler, str(len(group)), *cells])
        tables.append(
            Table(
                f"{TITLES[dataset]}: regret in percentage points",
                ["sampler", "runs", *(f"@{n}" for n in evaluations)],
                rows,
                f"Mean ± standard error over runs. Floor: {scorers[dataset].mean_floor():.2f}, "
                "the regret of picking by one training run over the whole table.",
            )
        )
    return tables


def mean_excess(runs: Runs, scorers: Mapping[str, Scorer], n: int) -> dict[str, float]:
    """Return by sampler the regret at ``n`` above the floor, averaged over the data sets.

    The floor of a run is that of the training run that it has seen.
    """
    excess = {}
    for sampler in samplers_of(runs):
        means = []
        for dataset in datasets_of(runs):
            scorer = scorers[dataset]
            group = runs[sampler, dataset]
            above = [scorer.regret(run)[n - 1] - scorer.floor(run.job.seed) for run in group]
            means.append(np.mean(above))
        excess[sampler] = float(np.mean(means))
    return excess


def ratio_table(
    runs: Runs, scorers: Mapping[str, Scorer], evaluations: Sequence[int], *, base: str = "tpe"
) -> Table | None:
    """Return the excess regrets in units of those of ``base``; :obj:`None` without such runs."""
    if base not in samplers_of(runs):
        return None
    excess = [mean_excess(runs, scorers, n) for n in evaluations]
    rows = [
        [sampler, *(f"{e[sampler]:.3f} ({e[sampler] / e[base]:.2f}x)" for e in excess)]
        for sampler in samplers_of(runs)
    ]
    return Table(
        f"Excess regret (above the floor) in percentage points, and as a multiple of {base}'s",
        ["sampler", *(f"@{n}" for n in evaluations)],
        rows,
        f"Mean over {', '.join(TITLES[dataset] for dataset in datasets_of(runs))}. "
        "Negative: better than a run that has seen the whole table and trusted its noise.",
    )


def hypervolume_tables(
    runs: Runs, scorers: Mapping[str, Scorer], evaluations: Sequence[int]
) -> list[Table]:
    """Return a table for each data set: hypervolume regret, repeats and different functions."""
    if not evaluations:
        return []
    last = max(evaluations)
    tables = []
    for dataset in datasets_of(runs):
        scorer = scorers[dataset]
        rows = []
        for sampler in samplers_of(runs):
            group = runs[sampler, dataset]
            regrets = np.array(
                [[scorer.hypervolume_regret(run, n) for n in evaluations] for run in group]
            )
            mean, error = mean_and_error(regrets)
            by_cell = np.mean([scorer.cell_hypervolume_regret(run, last) for run in group])
            distinct = np.mean([scorer.n_distinct(run, last) for run in group])
            cells = [_with_error(m, e, digits=4) for m, e in zip(mean, error, strict=True)]
            rows.append(
                [
                    sampler,
                    str(len(group)),
                    *cells,
                    f"{by_cell:.4f}",
                    f"{last - distinct:.1f}",
                    f"{distinct:.1f}",
                ]
            )
        tables.append(
            Table(
                f"{TITLES[dataset]}, accuracy and latency: hypervolume regret",
                [
                    "sampler",
                    "runs",
                    *(f"@{n}" for n in evaluations),
                    f"by cell@{last}",
                    f"repeats@{last}",
                    f"functions@{last}",
                ],
                rows,
                "Mean ± standard error over runs. Each objective is scaled so that the true front "
                "spans [0, 1]; the reference point is 1.1 in both. The true front has "
                f"{scorer.best_hypervolume():.4f}. Scored by the mean over the cells that compute "
                "the same function; `by cell` scores each cell by its own single "
                "latency measurement, which rewards measuring one function many times. Repeats: "
                "proposals of a function (canonical key) that the run had already tried.",
            )
        )
    return tables


def time_table(single: Runs, double: Runs) -> Table:
    """Return the wall-clock of a trial of each sampler."""

    def milliseconds(runs: Runs, sampler: str) -> str:
        group = [run for (name, _), rs in runs.items() if name == sampler for run in rs]
        if not group:
            return "-"
        median = np.median([run.seconds / len(run.rows) for run in group])
        return f"{1000 * median:.2f} (of {len(group[0].rows)})"

    names = dict.fromkeys([*samplers_of(single), *samplers_of(double)])
    return Table(
        "Wall-clock per trial in ms",
        ["sampler", "one objective", "two objectives"],
        [[name, milliseconds(single, name), milliseconds(double, name)] for name in names],
        "Mean over the trials of a search of that length, the median search; with the objective, "
        "in-memory storage, one thread a process.",
    )
