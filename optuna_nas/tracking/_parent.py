"""The parent run of a study: made once, agreed on by all processes, and found again."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
import time

from optuna.study import Study

from optuna_nas.spaces import SearchSpace
from optuna_nas.tracking._connection import alone
from optuna_nas.tracking._connection import Connection
from optuna_nas.tracking._connection import without_password
from optuna_nas.tracking._records import millis
from optuna_nas.tracking._records import params_of


PARENT_RUN_ID = "mlflow_parent_run_id"
"""Study user attribute: the MLflow run of the study."""
TRACKING_URI = "mlflow_tracking_uri"
"""Study user attribute: where this run is, without a password."""

_STUDY = "optuna.study_name"
_SETTLE = 0.2  # Seconds in which another process that made a parent run, too, has said so.


@dataclass(frozen=True)
class Settings:
    """What the user told the tracker."""

    experiment: str | None
    tracking_uri: str
    objectives: Sequence[str] | None
    space: SearchSpace | None
    params: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifact_location: str | None = None


def objective_names(study: Study, names: Sequence[str] | None) -> list[str]:
    """Return the names of a study's objectives.

    Raises:
        ValueError: If ``names`` are not as many as the study's directions.
    """
    n = len(study.directions)
    default = ["value"] if n == 1 else [f"value_{i}" for i in range(n)]
    chosen = list(names or study.metric_names or default)
    if len(chosen) != n:
        raise ValueError(f"Expected argument `objectives` to be {n} names but got {chosen}.")
    return chosen


def ensure_parent(connection: Connection, study: Study, settings: Settings) -> str:
    """Return the id of the study's run: the one that the study names, or a new one."""
    known = _known_parent(connection, study, settings)
    if known is not None:
        return known
    with alone(settings.tracking_uri):
        return _known_parent(connection, study, settings) or _make_parent(
            connection, study, settings
        )


def _known_parent(connection: Connection, study: Study, settings: Settings) -> str | None:
    known = study.user_attrs.get(PARENT_RUN_ID)
    run = connection.find_run(str(known)) if known else None
    if run is None or run.data.tags.get(_STUDY) != study.study_name:
        return None
    connection.client.update_run(run.info.run_id, status="RUNNING")
    _log_settings(connection, run.info.run_id, settings, run.data.params)
    return str(run.info.run_id)


def _make_parent(connection: Connection, study: Study, settings: Settings) -> str:
    own = connection.create_run(study.study_name, millis(None), _parent_tags(study, settings))
    study.set_user_attr(TRACKING_URI, without_password(settings.tracking_uri))
    study.set_user_attr(PARENT_RUN_ID, own)
    time.sleep(_SETTLE)
    agreed = str(study.user_attrs[PARENT_RUN_ID])
    if agreed != own:  # Several hosts made one; the last to say so wins.
        connection.client.delete_run(own)
    else:
        _log_settings(connection, own, settings, {})
    return agreed


def _log_settings(
    connection: Connection, run_id: str, settings: Settings, logged: Mapping[str, str]
) -> None:
    """Log new parameters; MLflow does not take another value for one that it has."""
    params = params_of(settings.params)
    changed = {k: v for k, v in params.items() if k in logged and logged[k] != v}
    connection.log(
        run_id,
        params={k: v for k, v in params.items() if k not in logged},
        tags={f"resumed_with.{k}": v for k, v in changed.items()},
    )


def _parent_tags(study: Study, settings: Settings) -> dict[str, str]:
    names = objective_names(study, settings.objectives)
    goals = [f"{n}: {d.name.lower()}" for n, d in zip(names, study.directions, strict=True)]
    return {
        _STUDY: study.study_name,
        "optuna.objectives": ", ".join(goals),
        "optuna.sampler": type(study.sampler).__name__,
        "optuna.pruner": type(study.pruner).__name__,
        **settings.tags,
    }
