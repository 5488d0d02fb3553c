"""What is logged of a trial: pure functions from an Optuna trial to names and values."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
import posixpath
import re
from typing import Any
from typing import NamedTuple
from typing import TypeVar

from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas.objective import ARCHITECTURE
from optuna_nas.objective import CANONICAL_KEY
from optuna_nas.objective import CURVES
from optuna_nas.objective import FAIL_REASON
from optuna_nas.objective import METRICS
from optuna_nas.tracking._front import is_feasible


RUN_ID = "mlflow_run_id"
"""Trial user attribute: the MLflow run of the trial."""
INTERRUPTED = "interrupted by the user"
"""The reason of a trial that ended by Ctrl-C, as ArchitectureObjective words it."""

_K = TypeVar("_K")
_OWN = frozenset({ARCHITECTURE, CANONICAL_KEY, CURVES, FAIL_REASON, METRICS, RUN_ID})
_STATUS = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAIL: "FAILED",
}
_KEY_LENGTH = 250
_VALUE_LENGTH = 5000


class Point(NamedTuple):
    """One value of a metric; ``timestamp`` in ms since 1970."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class Record:
    """What the run of a finished trial holds; ``start`` and ``end`` in ms since 1970."""

    status: str
    start: int
    end: int
    params: Mapping[str, str]
    points: Sequence[Point]
    tags: Mapping[str, str]


def trial_record(
    trial: FrozenTrial,
    objectives: Sequence[str],
    *,
    is_logged: Callable[[str, int], bool] = lambda name, step: False,
) -> Record:
    """Collect what is logged of a finished trial.

    Args:
        trial: A finished trial.
        objectives: Names of the objectives.
        is_logged: Tells whether the value of a metric at an epoch is in MLflow already.
    """
    start = millis(trial.datetime_start or trial.datetime_complete)
    end = max(millis(trial.datetime_complete), start)
    curves = _curves(trial, objectives)
    points = []
    for name, curve in curves.items():
        for i, (step, value) in enumerate(sorted(curve.items()), start=1):
            if not is_logged(name, step):
                time = start + i * (end - start) // (len(curve) + 1)
                points.append(Point(safe_key(name), value, time, step))
    for name, value in final_metrics(trial, objectives).items():
        # At the last step and 1 ms later than any, so that MLflow takes it for the latest.
        step, last = max(curves.get(name, {}).items(), default=(0, None))
        if value != last:
            points.append(Point(safe_key(name), value, end + 1, step))
    return Record(status(trial), start, end, params_of(trial.params), points, final_tags(trial))


def status(trial: FrozenTrial) -> str:
    """Return the status of the run of a finished trial."""
    interrupted = trial.user_attrs.get(FAIL_REASON) == INTERRUPTED
    return "KILLED" if interrupted else _STATUS[trial.state]


def millis(time: datetime | None) -> int:
    """Return ms since 1970; of now if there is no time."""
    return int((time or datetime.now()).timestamp() * 1000)


def final_metrics(trial: FrozenTrial, objectives: Sequence[str]) -> dict[str, float]:
    """Return all measured values by name: objectives, other metrics, constraint values."""
    measured = trial.user_attrs.get(METRICS)
    metrics = _numbers(measured.items()) if isinstance(measured, Mapping) else {}
    metrics |= _numbers((f"constraint/{name}", v) for name, v in trial.constraints.items())
    if trial.values is not None and len(trial.values) == len(objectives):
        metrics |= dict(zip(objectives, trial.values, strict=True))
    return metrics


def _curves(trial: FrozenTrial, objectives: Sequence[str]) -> dict[str, dict[int, float]]:
    """Return the values of each metric by epoch."""
    stored = trial.user_attrs.get(CURVES)
    curves: dict[str, dict[int, float]] = {}
    for name, values in stored.items() if isinstance(stored, Mapping) else ():
        measured = ((i, value) for i, value in enumerate(values) if value == value)
        curves[str(name)] = _numbers(measured)  # NaN fills the epochs without a value.
    if not curves and trial.intermediate_values:
        curves[objectives[0]] = _numbers(trial.intermediate_values.items())
    return curves


def _numbers(pairs: Iterable[tuple[_K, Any]]) -> dict[_K, float]:
    return {key: float(value) for key, value in pairs if isinstance(value, int | float)}


def params_of(params: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as MLflow takes them."""
    return {safe_key(name): str(value)[:_VALUE_LENGTH] for name, value in params.items()}


def final_tags(trial: FrozenTrial) -> dict[str, str]:
    """Return the tags of a finished trial, the user's own attributes included."""
    tags = {
        safe_key(name): str(value)[:_VALUE_LENGTH]
        for name, value in trial.user_attrs.items()
        if name not in _OWN and isinstance(value, str | int | float)
    }
    tags["optuna.state"] = trial.state.name
    if ARCHITECTURE in trial.user_attrs:
        tags[ARCHITECTURE] = str(trial.user_attrs[ARCHITECTURE])[:_VALUE_LENGTH]
    if FAIL_REASON in trial.user_attrs:
        tags[FAIL_REASON] = str(trial.user_attrs[FAIL_REASON])[:_VALUE_LENGTH]
    if trial.state != TrialState.FAIL or trial.constraints:
        tags["feasible"] = flag(is_feasible(trial))
    return tags


def flag(value: bool) -> str:
    """Return the value of a tag that says yes or no."""
    return "true" if value else "false"


def safe_key(name: str) -> str:
    """Return a name that MLflow accepts for a metric, a parameter and a tag."""
    key = re.sub(r"[^\w\-. /]", "_", str(name), flags=re.ASCII)[:_KEY_LENGTH]
    if posixpath.normpath(key) != key or key.startswith(("/", "..")) or key == ".":
        key = key.replace("/", "_").replace(".", "_")
    return key or "_"
