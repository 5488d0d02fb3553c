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
        ValueError: If there is no such task, the data does not tell what it needs to know, or
            there are settings beside a task that is made already.
    """
    if isinstance(task, Task):
        if settings:
            raise ValueError(
                f"Expected no settings beside a task that is made already but got {settings}."
            )
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
    if isinstance(task, str):
        return TASKS.get(task)
    if not (isinstance(task, type) and issubclass(task, Task)):
        raise ValueError(
            f"Expected argument `task` to be a task, a class of tasks or a name but got {task!r}."
        )
    return task


def task_to_dict(task: Task) -> dict[str, Any]:
    """Return a task in plain JSON types: its name, if it has one, and its fields."""
    fields: dict[str, Any] = asdict(task) if is_dataclass(task) else {}
    plain = {name: _changed(value, tuple, list) for name, value in fields.items()}
    return {"name": TASKS.name_of(type(task)) or type(task).__name__, "arguments": plain}


def task_from_dict(description: Mapping[str, Any], task: type[Task] | None = None) -> Task:
    """Return the task that :func:`task_to_dict` described.

    Args:
        description: The name and the fields.
        task: The class, where it has no name of :data:`TASKS`.

    Raises:
        ValueError: If the name is unknown, or a field is unknown or out of its range.
    """
    name, fields = description.get("name"), description.get("arguments")
    if not isinstance(name, str) or not isinstance(fields, Mapping):
        raise ValueError(
            "Expected the description of a task to have a name and arguments but got "
            f"{dict(description)}."
        )
    if task is None and name not in TASKS:
        raise ValueError(
            f"Expected the task {name} to be one of {', '.join(TASKS)} or to be given, as nothing "
            "that a file names is imported unasked."
        )
    kind = TASKS.get(name) if task is None else task
    try:
        return kind(**{key: _changed(value, list, tuple) for key, value in fields.items()})
    except TypeError as error:
        raise ValueError(
            f"Expected the task {name} to have the fields {dict(fields)} but got: {error}."
        ) from error


def _changed(value: Any, kind: type[list[Any] | tuple[Any, ...]], other: type) -> Any:
    """Return a value with its sequences of one kind, inner ones included, made another."""
    if isinstance(value, Mapping):
        return {key: _changed(inner, kind, other) for key, inner in value.items()}
    if isinstance(value, kind):
        return other(_changed(inner, kind, other) for inner in value)
    return value
