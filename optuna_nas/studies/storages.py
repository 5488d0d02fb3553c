"""Opening Optuna storages and studies by what a user gives."""

from __future__ import annotations

from collections.abc import Callable
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

from lightning_modules.cli._errors import as_command_error
from lightning_modules.cli._errors import CommandError
from optuna_nas import samplers
from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace
from optuna_nas.studies.full_disk import WholeLines


SETTINGS = "search"
"""Study user attribute: the settings that a continued search must share."""

_PATIENT = {"connect_args": {"timeout": 60}}
_MANY = 10
_WAITS = (0.2, 0.5, 1, 2)
_MAXIMISED = ("val_accuracy", "throughput")


def open_storage(url: str, *, create: bool = True) -> BaseStorage:
    """Open a storage.

    Args:
        url: URL of a database, or a path ending in ``.log``.
        create: Whether to make a file that does not exist.

    Raises:
        CommandError: If it cannot be opened.
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
        raise CommandError(
            "Expected option --storage to be a database URL such as sqlite:///optuna.db or a "
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


def knows_prior(name: str) -> bool:
    """Tell whether the sampler with the given name can start from a prior; all of ours can."""
    return samplers.accepts(samplers.SAMPLERS.get(name), "prior")


def make_sampler(
    name: str,
    *,
    seed: int,
    space: SearchSpace,
    constraints: Sequence[Constraint] = (),
    prior: Prior | None = None,
) -> optuna.samplers.BaseSampler:
    """Return the sampler with the given name; ours keep the constraints and use the prior.

    Raises:
        CommandError: If there is none, or it cannot be made.
    """
    try:
        return samplers.make_sampler(
            name, seed=seed, space=space, constraints=constraints, prior=prior
        )
    except ValueError as error:
        raise as_command_error(error) from error


def make_screening(
    sampler: optuna.samplers.BaseSampler,
    score: Callable[[Architecture], float],
    *,
    pool: int,
    seed: int,
    space: SearchSpace,
    constraints: Sequence[Constraint],
) -> optuna.samplers.BaseSampler:
    """Return a sampler that screens the proposals of another.

    Raises:
        CommandError: If the pool is too small.
    """
    try:
        return samplers.ScreeningSampler(
            sampler, score, pool=pool, seed=seed, space=space, constraints=constraints
        )
    except ValueError as error:
        raise as_command_error(error) from error


def make_pruner(name: str, *, epochs: int, objectives: Sequence[str]) -> optuna.pruners.BasePruner:
    """Return the pruner with the given name of the command line.

    Raises:
        CommandError: If the objectives cannot be pruned.
    """
    if name == "none":
        return optuna.pruners.NopPruner()
    if list(objectives) != ["val_accuracy"]:
        raise CommandError(
            "Expected option --pruner to be none unless val_accuracy is the only objective, as "
            f"only then there is something to compare after each epoch, but got {name}."
        )
    if name == "median":
        return optuna.pruners.MedianPruner()
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(max_resource=epochs)
    return optuna.pruners.SuccessiveHalvingPruner()


def create_or_continue(
    storage: BaseStorage,
    name: str,
    sampler: optuna.samplers.BaseSampler,
    objectives: Sequence[str],
    settings: Mapping[str, Any],
    pruner: optuna.pruners.BasePruner | None = None,
) -> optuna.Study:
    """Create the study, or open it if it was made with the same settings or is empty.

    Raises:
        CommandError: If it exists with other settings; the sentence names the first that differs.
    """
    directions = [
        StudyDirection.MAXIMIZE if objective in _MAXIMISED else StudyDirection.MINIMIZE
        for objective in objectives
    ]
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
            _check_settings(study, {"objectives": list(objectives), **settings})
            return study
        if study.directions != directions:
            raise CommandError(
                f"Expected the study {name!r} to have the directions of {' '.join(objectives)} "
                "but it was made with others; give another --study-name."
            ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(objectives))
    study.set_user_attr(SETTINGS, {"objectives": list(objectives), **settings})
    return study


def _check_settings(study: optuna.Study, wanted: Mapping[str, Any]) -> None:
    stored = study.user_attrs.get(SETTINGS)
    if stored is None:
        raise CommandError(
            f"Expected the study {study.study_name!r} to be made by `optuna-nas search` but it "
            "was made by another program; give another --study-name."
        )
    for key, value in wanted.items():
        if stored.get(key) != value:
            raise CommandError(
                f"Expected {key} {stored.get(key)!r}, with which the study {study.study_name!r} "
                f"was made, but got {value!r}; give another --study-name."
            )


def load(storage: BaseStorage, name: str | None) -> optuna.Study:
    """Open an existing study.

    Raises:
        CommandError: If there is no such study, or several and no name was given.
    """
    names = [summary.study_name for summary in storage.get_all_studies()]
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        some = ", ".join(repr(known) for known in names[-_MANY:]) or "none"
        which = "the studies in the storage" if len(names) <= _MANY else "the latest studies"
        raise CommandError(
            f"Expected option --study-name to name one of {which} ({some}) but got "
            f"{'none' if name is None else repr(name)}."
        )
    return optuna.load_study(storage=storage, study_name=name)
