"""A connection to one MLflow experiment: how it is made, and logging in batches."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import closing
from contextlib import contextmanager
from contextlib import ExitStack
from contextlib import suppress
import getpass
import hashlib
import logging
import os
from pathlib import Path
import re
import sqlite3
import sys
import tempfile
from typing import TYPE_CHECKING

from optuna_nas._file_lock import locked
from optuna_nas.tracking._records import Point


if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


_POINTS_PER_BATCH = 900  # MLflow takes 1000 metrics, 100 parameters and 100 tags a batch.
_PAIRS_PER_BATCH = 90
_RUNS_PER_PAGE = 1000
_LOCK_SECONDS = 120  # To make the tables takes seconds, on a busy machine some ten.
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # Not one of the GenAI views.
_PATIENCE = {
    # MLflow's defaults wait for a dead server for minutes; a search must not.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # Otherwise two lines are printed for each run that ends.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class Connection:
    """One experiment of an MLflow store, reached through ``MlflowClient`` alone.

    Args:
        client: The client.
        experiment_id: The experiment that new runs belong to.
    """

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self.client = client
        self._experiment_id = experiment_id
        self._origin = {
            "mlflow.user": _user(),
            "mlflow.source.name": sys.argv[0] or "python",
            "mlflow.source.type": "LOCAL",
        }

    def create_run(self, name: str, start: int, tags: Mapping[str, str]) -> str:
        """Make a run, ``start`` in ms since 1970, and return its id."""
        run = self.client.create_run(
            self._experiment_id, start_time=start, tags={**self._origin, **tags}, run_name=name
        )
        return str(run.info.run_id)

    def log(
        self,
        run_id: str,
        *,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log everything in as few calls as MLflow's limits allow, mostly one."""
        from mlflow.entities import Metric
        from mlflow.entities import Param
        from mlflow.entities import RunTag

        metric_list = [Metric(*point) for point in points]
        param_list = [Param(*pair) for pair in (params or {}).items()]
        tag_list = [RunTag(*pair) for pair in (tags or {}).items()]
        while metric_list or param_list or tag_list:
            self.client.log_batch(
                run_id,
                metrics=metric_list[:_POINTS_PER_BATCH],
                params=param_list[: _PAIRS_PER_BATCH // 2],
                tags=tag_list[: _PAIRS_PER_BATCH // 2],
            )
            metric_list = metric_list[_POINTS_PER_BATCH:]
            param_list = param_list[_PAIRS_PER_BATCH // 2 :]
            tag_list = tag_list[_PAIRS_PER_BATCH // 2 :]

    def log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Write artifacts by name; those that exist are replaced."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            self.client.log_artifacts(run_id, folder)

    def find_run(self, run_id: str) -> Run | None:
        """Return a run that exists and is not deleted, or :obj:`None`."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return run if run.info.lifecycle_stage == "active" else None

    def search(self, tags: Mapping[str, str]) -> list[Run]:
        """Return the runs of the experiment with these tags, the earliest first."""
        conditions = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                [self._experiment_id],
                " and ".join(conditions),
                max_results=_RUNS_PER_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            runs += page
            token = page.token
            if not token:
                return runs


class OwnProblem:
    """Reports errors that what is logged causes; lets those of the connection pass.

    Args:
        report: Told of the error.
        anything: Whether every error is of that kind, as in a drawing.
    """

    def __init__(self, report: Callable[[Exception], None], *, anything: bool = False) -> None:
        self._report = report
        self._anything = anything

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        code = getattr(error, "error_code", None)
        own = isinstance(error, ValueError | TypeError) or code == "INVALID_PARAMETER_VALUE"
        if not isinstance(error, Exception) or not (own or self._anything):
            return False
        self._report(error)
        return True


def connect(uri: str, experiment: str, artifact_location: str | None) -> Connection:
    """Open the store, which makes a fresh sqlite file, and find or make the experiment.

    Args:
        uri: The tracking URI.
        experiment: Name of the experiment.
        artifact_location: Where a new experiment keeps its artifacts; by default the folder
            ``mlartifacts`` beside an sqlite file, and for other stores what the server says.
    """
    from mlflow import MlflowClient

    if uri.startswith(("http://", "https://")):
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
    path = _database(uri)
    with _quiet(), alone(uri):
        if path is not None:
            _check_writable(path)
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        if found is not None:
            return Connection(client, found.experiment_id)
        location = artifact_location or _beside_database(uri, experiment)
        return Connection(client, _create_experiment(client, experiment, location))


def _create_experiment(client: MlflowClient, name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(name, artifact_location=location, tags=_KIND))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = client.get_experiment_by_name(name)  # Another process was faster.
    assert found is not None
    return str(found.experiment_id)


def _database(uri: str) -> Path | None:
    """Return the absolute path of an sqlite URI's file."""
    from sqlalchemy.engine import make_url

    if not uri.startswith(("sqlite:", "sqlite+")):
        return None
    database = make_url(uri).database
    in_a_file = database and not database.startswith((":memory:", "file:"))
    return Path(database).resolve() if database and in_a_file else None


def _beside_database(uri: str, experiment: str) -> str | None:
    path = _database(uri)
    if path is None:
        return None
    folder = re.sub(r"[^\w\-.]", "_", experiment, flags=re.ASCII).strip(".") or "experiment"
    return (path.parent / "mlartifacts" / folder).as_uri()


def without_password(text: str) -> str:
    """Return a text without the user names and passwords of the URIs in it."""
    return re.sub(r"//[^/@\s]*@", "//", text)


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """Let one process at a time make the tables of an sqlite file, or the run of a study, in it.

    MLflow's own lock does not cover all that it does then. For other stores it does nothing.
    """
    path = _database(uri)
    with ExitStack() as stack:
        if path is not None:
            with suppress(OSError):  # No place for a lock, or nobody gives it back: go on without.
                digest = hashlib.sha256(bytes(path)).hexdigest()[:16]
                file = Path(tempfile.gettempdir(), f"optuna-nas-{digest}.lock")
                stack.enter_context(locked(file, seconds=_LOCK_SECONDS))
        yield


def _check_writable(path: Path) -> None:
    """Write to an sqlite file what is in it. MLflow would try that for minutes if it failed.

    Raises:
        OSError: If there is no folder and none can be made.
        sqlite3.Error: If the file cannot be written, or is locked for longer than ten seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {version}")
        database.execute("COMMIT")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the lines that MLflow and Alembic log for a fresh database from the terminal."""
    loggers = [logging.getLogger(name) for name in ("mlflow.store.db.utils", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A container may run as a user without a name.
        return "unknown"
