"""What a command prints: numbers with their units, and tables of trials."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from optuna_nas.objective import ARCHITECTURE
from optuna_nas.objective import FAIL_REASON
from optuna_nas.objective import METRICS


_FORMATS = {
    "val_accuracy": ("validation accuracy", "{:.2%}"),
    "test_accuracy": ("test accuracy", "{:.2%}"),
    "params": ("parameters", "{:,.0f}"),
    "macs": ("MACs", "{:,.0f}"),
    "latency_ms": ("latency (ms)", "{:.3f}"),
    "throughput": ("throughput (samples/s)", "{:,.0f}"),
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
        result = "pruned"
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
    others = [
        name
        for name in (front[0].user_attrs.get(METRICS, {}) if front else {})
        if name not in objectives and name in ("val_accuracy", "params")
    ]
    heading = "Pareto front" if len(objectives) > 1 else "Best trials"
    table = Table(title=f"{heading} of {study.study_name} ({_counts(study)})")
    table.add_column("trial", justify="right")
    for name in (*objectives, *others):
        table.add_column(title(name), justify="right")
    table.add_column("architecture", overflow="fold")
    for trial in front:
        measured: Mapping[str, float] = trial.user_attrs.get(METRICS, {})
        table.add_row(
            str(trial.number),
            *(number(name, v) for name, v in zip(objectives, trial.values, strict=True)),
            *(number(name, measured[name]) if name in measured else "" for name in others),
            trial.user_attrs.get(ARCHITECTURE, ""),
        )
    console.print(table)


def _counts(study: optuna.Study) -> str:
    names = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
        TrialState.RUNNING: "running",
    }
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return ", ".join(
        f"{states.count(state)} {name}" for state, name in names.items() if state in states
    )
