"""Opening Optuna storages and studies by what a user gives."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import closing
import datetime
from pathlib import Path
import re
import sqlite3
import time
from typing import Any
from urllib.parse import unquote
from urllib.parse import urlsplit
import warnings

import optuna
from optuna.storages import BaseStorage
from optuna.storages import JournalStorage
from optuna.storages import RDBStorage
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import OperationalError

from optuna_nas.metrics import Metric
from optuna_nas.metrics import METRICS
from optuna_nas.studies.full_disk import WholeLines


SETTINGS = "search"
"""Study user attribute: the settings that a continued search must share."""
KEPT_METRICS = "metrics"
"""Study user attribute: the metrics of the objectives, see :meth:`~optuna_nas.Metric.to_dict`."""

_PATIENT = {"connect_args": {"timeout": 60}}
_MANY = 10
_WAITS = (0.2, 0.5, 1, 2)


def open_storage(url: str, *, create: bool = True) -> BaseStorage:
    """Open a storage.

    Args:
        url: URL of a database, or a path ending in ``.log``.
        create: Whether to make a file that does not exist.

    Raises:
        ValueError: If it cannot be opened.
    """
    try:
        if not create:
            _check_exists(url)
        if url.endswith(".log"):
            return JournalStorage(JournalFileBackend(url, lock_obj=WholeLines(url)))
        if url.startswith("sqlite"):  # Of one host, where a dead process is seen at once.
            return _open_sqlite(url)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return RDBStorage(
                url,
                heartbeat_interval=60,
                grace_period=180,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=1),
            )
    except Exception as error:
        reason = " ".join(str(error).split("\n")[0].split()).rstrip(".")
        shown = re.sub(r"//[^/@]*@", "//***@", url)
        raise ValueError(
            "Expected argument `storage` to be a database URL such as sqlite:///optuna.db or a "
            f"path ending in .log but {shown!r} cannot be opened: {reason}."
        ) from error


def _check_exists(url: str) -> None:
    """Raise a FileNotFoundError if there is no such file, or an sqlite file without studies.

    Opening it would make the file, and Optuna's tables in that of another program.
    """
    path = Path(url) if url.endswith(".log") else _sqlite_path(url)
    if path is None:
        return
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    if url.endswith(".log"):
        return
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'studies'").fetchone():
            raise FileNotFoundError("there is no study in the file")


def _sqlite_path(url: str) -> Path | None:
    """Return the file of an sqlite URL; none for other databases and those in memory."""
    parts = make_url(url)
    name = parts.database or ":memory:"
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    in_memory = name == ":memory:" or parts.query.get("mode") == "memory"
    return None if parts.get_backend_name() != "sqlite" or in_memory else Path(name)


def _open_sqlite(url: str) -> BaseStorage:
    """Open an sqlite file, also while another process makes the same tables in it."""
    for seconds in _WAITS:
        try:
            return RDBStorage(url, engine_kwargs=_PATIENT)
        except (IntegrityError, OperationalError) as error:
            if isinstance(error, OperationalError) and "already exists" not in str(error):
                raise
            time.sleep(seconds)
    return RDBStorage(url, engine_kwargs=_PATIENT)


def new_name(prefix: str) -> str:
    """Return the name of a new study, e.g. ``digits-cell-20260131-235959``."""
    return f"{prefix}-{datetime.datetime.now():%Y%m%d-%H%M%S}"


def create_or_continue(
    storage: BaseStorage,
    name: str,
    sampler: optuna.samplers.BaseSampler,
    objectives: Sequence[Metric],
    settings: Mapping[str, Any],
    pruner: optuna.pruners.BasePruner | None = None,
) -> optuna.Study:
    """Create the study, or open it if it was made with the same settings or is empty.

    Args:
        storage: The storage.
        name: Name of the study.
        sampler: The strategy.
        objectives: The metrics to optimise; the study keeps them, for whoever shows it later.
        settings: What a continued study must have been made with, in plain JSON types.
        pruner: What stops poor trials.

    Raises:
        ValueError: If it exists with other settings; the sentence names the first that differs.
    """
    names = [metric.name for metric in objectives]
    directions = [
        StudyDirection.MAXIMIZE if metric.maximize else StudyDirection.MINIMIZE
        for metric in objectives
    ]
    wanted = {"objectives": names, **settings}
    try:
        study = optuna.create_study(
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            study_name=name,
            directions=directions,
        )
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(storage=storage, sampler=sampler, pruner=pruner, study_name=name)
        # Without settings and trials another process has made it a moment ago.
        if SETTINGS in study.user_attrs or study.get_trials(deepcopy=False):
            _check_settings(study, wanted)
            return study
        if study.directions != directions:
            raise ValueError(
                f"Expected the study {name!r} to have the directions of {' '.join(names)} "
                "but it was made with others; give another argument `study_name`."
            ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(names)
    study.set_user_attr(SETTINGS, wanted)
    study.set_user_attr(KEPT_METRICS, [metric.to_dict() for metric in objectives])
    return study


def _check_settings(study: optuna.Study, wanted: Mapping[str, Any]) -> None:
    stored = study.user_attrs.get(SETTINGS)
    if stored is None:
        raise ValueError(
            f"Expected the study {study.study_name!r} to be made by a search of this package but "
            "it was made by another program; give another argument `study_name`."
        )
    for key in {**wanted, **stored}:
        if stored.get(key) != wanted.get(key):
            raise ValueError(
                f"Expected {key} {stored.get(key)!r}, with which the study {study.study_name!r} "
                f"was made, but got {wanted.get(key)!r}; give another argument `study_name`."
            )


def load_study(storage: BaseStorage, name: str | None = None) -> optuna.Study:
    """Open an existing study, and learn its metrics.

    Args:
        storage: The storage.
        name: Name of the study; by default the only one in the storage.

    Raises:
        ValueError: If there is no such study, or several and no name was given.
    """
    names = [summary.study_name for summary in storage.get_all_studies()]
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        some = ", ".join(repr(known) for known in names[-_MANY:]) or "none"
        which = "the studies in the storage" if len(names) <= _MANY else "the latest studies"
        raise ValueError(
            f"Expected argument `study_name` to name one of {which} ({some}) but got "
            f"{'none' if name is None else repr(name)}."
        )
    study = optuna.load_study(storage=storage, study_name=name)
    METRICS.update(study.user_attrs.get(KEPT_METRICS, []))
    return study
