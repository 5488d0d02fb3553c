"""``optuna-nas show``: the Pareto front of a stored study."""

from __future__ import annotations

from rich.console import Console

from optuna_nas.cli import _studies
from optuna_nas.cli._tables import front_of
from optuna_nas.cli._tables import print_front


def show(*, study_name: str | None, storage: str) -> int:
    """Print the front; see :func:`optuna_nas.cli._options.show_options`."""
    study = _studies.load(_studies.open_storage(storage, create=False), study_name)
    objectives = study.metric_names or [f"value {i}" for i in range(len(study.directions))]
    front = front_of(study)
    print_front(Console(), study, front, objectives)
    return 0 if front else 1
