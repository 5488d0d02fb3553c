"""``optuna-nas show``: the Pareto front of a stored study."""

from __future__ import annotations

from rich.console import Console

from lightning_modules.cli._tables import front_of
from lightning_modules.cli._tables import print_front
from optuna_nas.studies import storages as _studies


def show(*, study_name: str | None, storage: str) -> int:
    """Print the front; see :func:`lightning_modules.cli._options.show_options`."""
    study = _studies.load(_studies.open_storage(storage, create=False), study_name)
    objectives = study.metric_names or [f"value {i}" for i in range(len(study.directions))]
    front = front_of(study)
    print_front(Console(), study, front, objectives)
    return 0 if front else 1
