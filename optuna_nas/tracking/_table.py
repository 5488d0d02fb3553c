"""The trials of a study as text: a table for the parent run and a summary on its first page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
import csv
import io

from optuna.trial import FrozenTrial

from optuna_nas.objective import ARCHITECTURE
from optuna_nas.objective import FAIL_REASON
from optuna_nas.tracking._records import final_metrics
from optuna_nas.tracking._records import final_tags
from optuna_nas.tracking._records import flag


_MAX_LINES = 15
_LINE_LENGTH = 300


def trials_table(
    trials: Sequence[FrozenTrial], objectives: Sequence[str], front: frozenset[int]
) -> str:
    """Return all trials as CSV text, one row a trial, objectives first."""
    rows = [_row(trial, objectives, front) for trial in trials]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _row(
    trial: FrozenTrial, objectives: Sequence[str], front: frozenset[int]
) -> dict[str, object]:
    metrics = final_metrics(trial, objectives)
    seconds = round(trial.duration.total_seconds(), 3) if trial.duration else ""
    head: dict[str, object] = {"trial": trial.number, "state": trial.state.name}
    head |= {name: _number(metrics.pop(name)) if name in metrics else "" for name in objectives}
    head |= {
        "pareto": flag(trial.number in front),
        "feasible": final_tags(trial).get("feasible", ""),
        "seconds": seconds,
        ARCHITECTURE: trial.user_attrs.get(ARCHITECTURE, ""),
        FAIL_REASON: trial.user_attrs.get(FAIL_REASON, ""),
    }
    rest = {**{name: _number(value) for name, value in metrics.items()}, **trial.params}
    return {**head, **{name: value for name, value in rest.items() if name not in head}}


def _number(value: float) -> float | int:
    """Round to what a reader can use; counts stay exact."""
    if value.is_integer() and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.6g}")


def summary(
    trials: Sequence[FrozenTrial],
    objectives: Sequence[str],
    front: frozenset[int],
    *,
    maximize: bool,
) -> str:
    """Return a description of the study in Markdown: counts and the best trials.

    Args:
        trials: All trials.
        objectives: Names of the objectives.
        front: Numbers of the best trials.
        maximize: Whether more of the first objective, by which they are sorted, is better.
    """
    finished = [trial for trial in trials if trial.state.is_finished()]
    counts = Counter(trial.state.name.lower() for trial in finished)
    states = ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
    best = [trial for trial in finished if trial.number in front]
    best.sort(key=lambda trial: trial.values, reverse=maximize)
    what = "Best trial" if len(objectives) == 1 else f"Pareto front ({len(best)} trials)"
    lines = [f"{len(finished)} trials: {states}.", "", f"{what}:", ""]
    for trial in best[:_MAX_LINES]:
        pairs = zip(objectives, trial.values, strict=True)
        values = ", ".join(f"{name} {_number(value)}" for name, value in pairs)
        text = str(trial.user_attrs.get(ARCHITECTURE, trial.params))[:_LINE_LENGTH]
        lines.append(f"- trial {trial.number}: {values}: `{text}`")
    return "\n".join(lines)
