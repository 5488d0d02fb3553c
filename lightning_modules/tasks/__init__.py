"""Tasks: what networks are trained for. One file is one task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import is_dataclass
from typing import Any

import pytorch_lightning as pl

from lightning_modules.registries import TASKS
from lightning_modules.tasks._base import BuildWithHead
from lightning_modules.tasks._base import Loss
from lightning_modules.tasks._base import Task
from lightning_modules.tasks.classification import Classification
from lightning_modules.tasks.regression import Regression


__all__ = [
    "BuildWithHead",
    "Classification",
    "DEFAULT_TASK",
    "Loss",
    "Regression",
    "TASKS",
    "Task",
    "make_task",
    "task_class",
    "task_from_dict",
    "task_to_dict",
]

DEFAULT_TASK = "classification"
"""The task where neither the user nor the data names one."""


def make_task(
    task: str | type[Task] | Task | None, datamodule: pl.LightningDataModule, **settings: Any
) -> Task:
    """Return the task for a data module that has been set up.

    Args:
        task: A task as it is; or a class, or a name of :data:`TASKS`, to be made for the data.
            :obj:`None` is the name in the data module's attribute ``task``, or else
            :data:`DEFAULT_TASK`.
        datamodule: The data module.
        settings: Fields of the task that do not come from the data.

    Raises:
        ValueError: If there is no such task, or the data does not tell what it needs to know.
    """
    if isinstance(task, Task):
        return task
    return task_class(task, datamodule).from_data(datamodule, **settings)


def task_class(
    task: str | type[Task] | Task | None, datamodule: pl.LightningDataModule
) -> type[Task]:
    """Return the class of the task that :func:`make_task` makes; the data need not be set up.

    Raises:
        ValueError: If there is no such task.
    """
    if isinstance(task, Task):
        return type(task)
    if task is None:
        own = getattr(datamodule, "task", None)
        task = own if isinstance(own, str) else DEFAULT_TASK
    return TASKS.get(task) if isinstance(task, str) else task


def task_to_dict(task: Task) -> dict[str, Any]:
    """Return a task in plain JSON types: its name, if it has one, and its fields."""
    fields: dict[str, Any] = asdict(task) if is_dataclass(task) else {}
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}
    return {"name": TASKS.name_of(type(task)) or type(task).__name__, "arguments": plain}


def task_from_dict(description: Mapping[str, Any], task: type[Task] | None = None) -> Task:
    """Return the task that :func:`task_to_dict` described.

    Args:
        description: The name and the fields.
        task: The class, where it has no name of :data:`TASKS`.

    Raises:
        ValueError: If the name is unknown, or a field is unknown or out of its range.
    """
    name = str(description["name"])
    if task is None and name not in TASKS:
        raise ValueError(
            f"Expected the task {name} to be one of {', '.join(TASKS)} or to be given, as nothing "
            "that a file names is imported unasked."
        )
    kind = TASKS.get(name) if task is None else task
    arguments = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in dict(description["arguments"]).items()
    }
    try:
        return kind(**arguments)
    except TypeError as error:
        raise ValueError(
            f"Expected the task {name} to have fields of its own but got {arguments}."
        ) from error
