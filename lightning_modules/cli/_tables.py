"""What a command prints: numbers with their units, and tables of trials."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table
from rich.text import Text

from optuna_nas.objective import ARCHITECTURE
from optuna_nas.objective import FAIL_REASON
from optuna_nas.objective import INFEASIBLE
from optuna_nas.objective import METRICS


_FORMATS = {
    "val_accuracy": ("validation accuracy", "{:.2%}"),
    "test_accuracy": ("test accuracy", "{:.2%}"),
    "params": ("parameters", "{:,.0f}"),
    "macs": ("MACs", "{:,.0f}"),
    "latency_ms": ("latency (ms)", "{:.3f}"),
    "throughput": ("throughput (samples/s)", "{:,.0f}"),
    "peak_memory_mb": ("peak memory (MB)", "{:,.2f}"),
    "energy_mj": ("energy (mJ)", "{:,.2f}"),
    "training_memory_mb": ("training memory (MB)", "{:,.1f}"),
}


def title(metric: str) -> str:
    """Return the name of a metric with its unit."""
    return _FORMATS.get(metric, (metric, ""))[0]


def number(metric: str, value: float) -> str:
    """Return a value in the form of its metric."""
    return _FORMATS.get(metric, ("", "{:.4g}"))[1].format(value)


def describe_trial(trial: FrozenTrial, objectives: Sequence[str]) -> str:
    """Return a finished trial in one line."""
    architecture = trial.user_attrs.get(ARCHITECTURE, "")
    if trial.state == TrialState.COMPLETE:
        values = zip(objectives, trial.values, strict=True)
        result = ", ".join(f"{title(name)} {number(name, value)}" for name, value in values)
    elif trial.state == TrialState.PRUNED:
        broken = trial.user_attrs.get(INFEASIBLE)
        result = f"infeasible, not trained: {broken}" if broken else "pruned"
    else:
        result = f"failed: {trial.user_attrs.get(FAIL_REASON, 'a value is not a number')}"
    return f"trial {trial.number}: {result}  {architecture}"


def front_of(study: optuna.Study) -> list[FrozenTrial]:
    """Return the feasible trials that no other dominates, best in the first objective first.

    Of trials with equal values the first stays.
    """
    front = {tuple(trial.values): trial for trial in reversed(study.best_trials)}
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    return sorted(front.values(), key=lambda trial: (sign * trial.values[0], trial.number))


def print_front(
    console: Console, study: optuna.Study, front: Sequence[FrozenTrial], objectives: Sequence[str]
) -> None:
    """Print the front as a table; accuracy and parameters also where they are no objectives."""
    if not front:
        print(f"No trial of {study.study_name} is complete and feasible ({_counts(study)}).")
        return
    table = _table(study, front, objectives, with_architecture=True)
    unlimited = console.options.update(max_width=10_000)
    if console.measure(table, options=unlimited).maximum <= console.width:
        console.print(table)
        return
    console.print(_table(study, front, objectives, with_architecture=False))
    for trial in front:  # Whole, to be copied.
        print(f"trial {trial.number}: {trial.user_attrs.get(ARCHITECTURE, '')}")


def _table(
    study: optuna.Study,
    front: Sequence[FrozenTrial],
    objectives: Sequence[str],
    *,
    with_architecture: bool,
) -> Table:
    others = [
        name
        for name in front[0].user_attrs.get(METRICS, {})
        if name not in objectives and name in ("val_accuracy", "params")
    ]
    heading = "Pareto front" if len(objectives) > 1 else "Best trial"
    table = Table(title=Text(f"{heading} of {study.study_name} ({_counts(study)})"))
    table.add_column("trial", justify="right")
    for name in (*objectives, *others):
        table.add_column(title(name), justify="right")
    if with_architecture:
        table.add_column("architecture", no_wrap=True)
    for trial in front:
        measured: Mapping[str, float] = trial.user_attrs.get(METRICS, {})
        cells = [str(trial.number)]
        cells += [number(name, v) for name, v in zip(objectives, trial.values, strict=True)]
        cells += [number(name, measured[name]) if name in measured else "" for name in others]
        if with_architecture:
            cells.append(trial.user_attrs.get(ARCHITECTURE, ""))
        table.add_row(*map(Text, cells))
    return table


def _counts(study: optuna.Study) -> str:
    names = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
        TrialState.RUNNING: "running",
        TrialState.WAITING: "waiting",
    }
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    counts = [f"{states.count(state)} {name}" for state, name in names.items() if state in states]
    return ", ".join(counts) or "no trials"
