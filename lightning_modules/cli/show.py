"""``optuna-nas show``: the Pareto front of a stored study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lightning_modules.search.settings import DEFAULT_STORAGE


@dataclass(kw_only=True)
class Options:
    """Show the Pareto front of a stored study.

    Args:
        study_name: Name of the study. By default the only one in the storage.
        storage: URL of the Optuna storage, or a path ending in .log for a journal file.
    """

    study_name: str | None = None
    storage: str = DEFAULT_STORAGE


def run(options: Options, _: Mapping[str, Any]) -> int:
    """Print the front; 1 if there is none."""
    from rich.console import Console

    from lightning_modules.cli._tables import print_front
    from optuna_nas.studies import best_trials
    from optuna_nas.studies import load_study
    from optuna_nas.studies import open_storage

    study = load_study(open_storage(options.storage, create=False), options.study_name)
    objectives = study.metric_names or [f"value {i}" for i in range(len(study.directions))]
    front = best_trials(study)
    print_front(Console(), study, front, objectives)
    return 0 if front else 1
