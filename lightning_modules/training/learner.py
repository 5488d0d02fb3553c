"""From an architecture to the Lightning module that trains it: a task's, or a user's own."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from torch import nn

from lightning_modules.backbone import Build
from lightning_modules.tasks import Task
from lightning_modules.training.module import check_training_arguments
from lightning_modules.training.module import TaskModule
from optuna_nas import Architecture


MakeModule = Callable[[nn.Module], pl.LightningModule]
"""A class of Lightning modules, or a function, that takes what ``build`` makes."""


def check_one_of(task: object, module: MakeModule | None) -> None:
    """Raise a ValueError if there are a task and a module, of which the task would be ignored."""
    if task is not None and module is not None:
        raise ValueError(
            "Expected argument `module` or argument `task` but got both: "
            f"{getattr(module, '__name__', module)} and {getattr(task, '__name__', task)}."
        )


class Learner:
    """Makes what is trained: a network for a task, or a module of the user's own.

    Called with an architecture it returns the network with the task's head, or the user's module,
    which is what cost metrics are measured of. :meth:`lightning` returns what a trainer takes.

    Args:
        build: Makes a backbone or a network.
        module: A module of the user's own; None is :class:`TaskModule`.
        task: The task, which may be set later.
        metrics: Names that the training has to log, besides what the task always measures. Others
            than the task's are left out, as costs are not logged.
        arguments: Of :class:`TaskModule`; None leaves its default. What the architecture decides,
            see :class:`~lightning_modules.Kit`, comes first.

    Raises:
        ValueError: If an argument is out of its range, or given for a module of the user's own.
    """

    def __init__(
        self,
        build: Build,
        module: MakeModule | None = None,
        task: Task | None = None,
        *,
        metrics: Sequence[str] = (),
        **arguments: Any,
    ) -> None:
        given = {name: value for name, value in arguments.items() if value is not None}
        if module is not None and given:
            name, value = next(iter(given.items()))
            raise ValueError(
                f"Expected no argument `{name}` beside `module`, which has its own, but got "
                f"{value!r}."
            )
        check_training_arguments(**given)
        self.build = build
        self.module = module
        self.task = task
        self._metrics = tuple(metrics)
        self._arguments = given

    def __call__(self, architecture: Architecture) -> nn.Module:
        """Return the network, or the user's module, of an architecture."""
        network = self.build(architecture)
        if self.module is not None:
            return self.module(network)
        return self._needed_task().network(network)

    def lightning(self, network: nn.Module, architecture: Architecture) -> pl.LightningModule:
        """Return what a trainer takes, made of what a call with the architecture returned.

        Raises:
            ValueError: If the user's module is no Lightning module.
        """
        if self.module is None:
            decides = getattr(self.build, "training", None)
            decided = {} if decides is None else decides(architecture)
            task = self._needed_task()
            return TaskModule(
                network,
                task,
                metrics=[name for name in self._metrics if name in task.trained_metrics()],
                **{**self._arguments, **decided},
            )
        if not isinstance(network, pl.LightningModule):
            raise ValueError(
                "Expected argument `module` to make a LightningModule of "
                f"{pl.__name__} but got {type(network).__name__}."
            )
        return network

    def _needed_task(self) -> Task:
        assert self.task is not None
        return self.task
