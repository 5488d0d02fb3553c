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

from optuna_nas.metrics import METRICS
from optuna_nas.objective import ARCHITECTURE
from optuna_nas.objective import FAIL_REASON
from optuna_nas.objective import INFEASIBLE
from optuna_nas.objective import METRICS as MEASURED


def describe_trial(trial: FrozenTrial, objectives: Sequence[str]) -> str:
    """Return a finished trial in one line."""
    architecture = trial.user_attrs.get(ARCHITECTURE, "")
    if trial.state == TrialState.COMPLETE:
        values = zip(objectives, trial.values, strict=True)
        result = ", ".join(_text(name, value) for name, value in values)
    elif trial.state == TrialState.PRUNED:
        broken = trial.user_attrs.get(INFEASIBLE)
        result = f"infeasible, not trained: {broken}" if broken else "pruned"
    else:
        result = f"failed: {trial.user_attrs.get(FAIL_REASON, 'a value is not a number')}"
    return f"trial {trial.number}: {result}  {architecture}"


def _text(name: str, value: float) -> str:
    metric = METRICS.get(name)
    return f"{metric.heading} {metric.text(value)}"


def print_front(
    console: Console, study: optuna.Study, front: Sequence[FrozenTrial], objectives: Sequence[str]
) -> None:
    """Print the front as a table; parameters also where they are no objective."""
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
        for name in front[0].user_attrs.get(MEASURED, {})
        if name not in objectives and name == "params"
    ]
    heading = "Pareto front" if len(objectives) > 1 else "Best trial"
    table = Table(title=Text(f"{heading} of {study.study_name} ({_counts(study)})"))
    table.add_column("trial", justify="right")
    for name in (*objectives, *others):
        table.add_column(METRICS.get(name).heading, justify="right")
    if with_architecture:
        table.add_column("architecture", no_wrap=True)
    for trial in front:
        measured: Mapping[str, float] = trial.user_attrs.get(MEASURED, {})
        cells = [str(trial.number)]
        cells += [
            METRICS.get(name).text(v) for name, v in zip(objectives, trial.values, strict=True)
        ]
        cells += [
            METRICS.get(name).text(measured[name]) if name in measured else "" for name in others
        ]
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
