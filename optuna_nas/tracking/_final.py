"""The run of the finished model, which is made from one trial after the search."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
from pathlib import Path

from optuna_nas.tracking._connection import Connection
from optuna_nas.tracking._records import millis
from optuna_nas.tracking._records import Point
from optuna_nas.tracking._runs import PARENT


NAME = "final"
TRIAL = "final_trial"
"""Tag of the parent run and of the final run: the trial whose architecture the model has."""
DIGEST = "sha256"
"""Tag of the final run: the digest of the model's file."""


def start_final(connection: Connection, parent_id: str, digest: str) -> str | None:
    """Make the run of the model with this digest, or :obj:`None` if it was logged before.

    Runs of models that a killed process did not log to the end are gone on with or end KILLED.
    """
    unfinished = None
    for run in connection.search({PARENT: parent_id, "mlflow.runName": NAME}):
        if run.data.tags.get(DIGEST) == digest:
            if run.info.status == "FINISHED":
                return None
            unfinished = str(run.info.run_id)
        elif run.info.status == "RUNNING":
            connection.client.set_terminated(run.info.run_id, "KILLED")
    return unfinished or connection.create_run(
        NAME, millis(None), {PARENT: parent_id, DIGEST: digest}
    )


def fill_final(
    connection: Connection,
    run_id: str,
    *,
    points: Sequence[Point],
    tags: Mapping[str, str],
    path: Path | None,
) -> None:
    """Log a finished model, with its file and the description and digest beside it, and end it."""
    connection.log(run_id, points=points, tags=tags)
    beside = [path.with_suffix(".json"), Path(f"{path}.sha256")] if path is not None else []
    for file in [path, *(other for other in beside if other.is_file())]:
        if file is not None:
            connection.client.log_artifact(run_id, str(file))
    connection.client.set_terminated(run_id, "FINISHED")


def digest_of(path: Path | None, number: int, metrics: Mapping[str, float]) -> str:
    """Return what tells a finished model from others: its content or, without file, its metrics.

    Args:
        path: A file or folder.
        number: The trial.
        metrics: What was measured.
    """
    if path is None:
        return hashlib.sha256(f"{number} {sorted(metrics.items())}".encode()).hexdigest()
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{file.relative_to(path)} {digest_of(file, number, metrics)}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
