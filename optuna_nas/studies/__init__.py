"""Studies: storages, recovery of killed runs, running trials to a number, and the front."""

import importlib
from typing import Any
from typing import TYPE_CHECKING

from optuna_nas.studies.enqueue import enqueue_best
from optuna_nas.studies.exhaustion import StopWhenExhausted
from optuna_nas.studies.front import best_trials
from optuna_nas.studies.front import knee
from optuna_nas.studies.full_disk import StorageFullError
from optuna_nas.studies.pruners import make_pruner
from optuna_nas.studies.pruners import PRUNERS
from optuna_nas.studies.storages import load_study
from optuna_nas.studies.storages import open_storage


if TYPE_CHECKING:
    from optuna_nas.studies.run import Reporter
    from optuna_nas.studies.run import StudyRun


__all__ = [
    "PRUNERS",
    "Reporter",
    "StopWhenExhausted",
    "StorageFullError",
    "StudyRun",
    "best_trials",
    "enqueue_best",
    "knee",
    "load_study",
    "make_pruner",
    "open_storage",
]


def __getattr__(name: str) -> Any:
    """Load what needs MLflow on first use."""
    if name not in ("Reporter", "StudyRun"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("optuna_nas.studies.run"), name)
