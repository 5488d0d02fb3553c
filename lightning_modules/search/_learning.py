"""What the settings of a search or a training name: the data, the space and the task."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import inspect
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from lightning_modules._files import plain
from lightning_modules.backbone import Build
from lightning_modules.data import find_data
from lightning_modules.data import make_datamodule
from lightning_modules.data import settings_of
from lightning_modules.search.settings import DataSettings
from lightning_modules.spaces import as_kit
from lightning_modules.spaces import Kit
from lightning_modules.tasks import make_task
from lightning_modules.tasks import Task
from lightning_modules.tasks import task_class
from lightning_modules.training.learner import Learner
from lightning_modules.training.learner import MakeModule
from optuna_nas.registry import import_object
from optuna_nas.spaces import SearchSpace


class Learning:
    """The data, the space, and what networks are trained for, as settings name them.

    The data is opened, but not read before :meth:`set_up`.

    Args:
        settings: The settings.
        space: A search space; see :func:`~lightning_modules.spaces.as_kit`.
        data_settings: Further arguments of the data module.

    Raises:
        ValueError: If a name is unknown or settings do not fit what they name.
    """

    def __init__(
        self, settings: DataSettings, space: Any, data_settings: Mapping[str, Any]
    ) -> None:
        self.kit: Kit = as_kit(space)
        self.space: SearchSpace = self.kit.make_space()
        self.space_name = space if isinstance(space, str) else self.space.name
        self.sizes = self._sizes(settings.network)
        self.data_settings = {
            key: value for key, value in data_settings.items() if value is not None
        }
        self.datamodule = self._open(settings)
        self.data_name = (
            settings.data if isinstance(settings.data, str) else type(self.datamodule).__name__
        )
        self._task = settings.task
        self.module = _module(settings)
        self.task_class: type[Task] | None = (
            None if self.module is not None else task_class(settings.task, self.datamodule)
        )
        self.task: Task | None = None
        """The task, after :meth:`set_up`; None with a module of the user's own."""

    def set_up(self) -> Build:
        """Read the training data, make the task for it, and try to build a network.

        Returns:
            The function from an architecture to its backbone or network.

        Raises:
            ValueError: If the data cannot be used or no network can be built for it.
        """
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")
        if self.module is None:
            self.task = make_task(self._task, self.datamodule)
        build = self.kit.builder(**({} if self.kit.builds_itself else self.network))
        learner = Learner(build, self.module, self.task)
        try:  # Better one error now than one in each trial.
            made = learner(self.space.architecture_at(0))
        except Exception as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"Expected argument `space` {self.space_name} with network sizes "
                f"{dict(self.sizes)} to build networks but got {type(error).__name__}: {reason}"
            ) from error
        learner.lightning(made, self.space.architecture_at(0))
        return build

    @property
    def network(self) -> dict[str, Any]:
        """The arguments of the kit's backbone.

        Raises:
            ValueError: If the data does not tell what the networks are made for.
        """
        return {**self.kit.facts_of(self.datamodule), **self.sizes}

    @property
    def description(self) -> dict[str, Any]:
        """Where data, space and task come from, in plain JSON types."""
        given: dict[str, Any] = {
            "data": self.data_name,
            "space": self.space_name,
            **self.data_settings,
        }
        if not self.kit.builds_itself:
            given["arguments"] = plain(self.network)
        named = {"task": self._task, "module": self.module}
        for key, value in named.items():
            if value is not None:
                kind = value if inspect.isclass(value) or callable(value) else type(value)
                given[key] = value if isinstance(value, str) else kind.__name__
        return given

    def _sizes(self, network: Mapping[str, int] | None) -> dict[str, int]:
        if network and (self.kit.builds_itself or not self.kit.small):
            why = "that builds its networks itself" if self.kit.builds_itself else "without sizes"
            raise ValueError(
                f"Expected no argument `network` for the space {self.space_name}, one {why}, but "
                f"got {dict(network)}."
            )
        return {**self.kit.small, **(network or {})}

    def _open(self, settings: DataSettings) -> pl.LightningDataModule:
        if not isinstance(settings.data, str):
            if self.data_settings:
                raise ValueError(
                    "Expected no settings of the data beside a data module but got "
                    f"{self.data_settings}."
                )
            module: pl.LightningDataModule = settings.data
            return module
        kind = find_data(settings.data)
        known = settings_of(kind) if isinstance(kind, type) else {}
        self.data_settings = {  # Without those that would be so anyway.
            key: value
            for key, value in self.data_settings.items()
            if key not in known or known[key].default != value
        }
        if settings.batch_size is not None:
            self.data_settings["batch_size"] = settings.batch_size
        seed = {"seed": settings.seed} if "seed" in known else {}
        return make_datamodule(settings.data, **self.data_settings, **seed)


def _module(settings: DataSettings) -> MakeModule | None:
    """Return the user's own module.

    Raises:
        ValueError: If it cannot be imported, or is given beside a task.
    """
    name: Any = settings.module
    if name is None:
        return None
    if settings.task is not None:
        raise ValueError(
            "Expected argument `module` or argument `task` but got both: "
            f"{name} and {settings.task}."
        )
    found = name
    if isinstance(name, str):
        try:
            found = import_object(name)
        except (Exception, SystemExit) as error:
            raise ValueError(
                f"Expected argument `module` {name} to be MODULE:NAME or FILE.py:NAME but "
                f"importing it failed: {type(error).__name__}: {error}."
            ) from error
    if not callable(found):
        raise ValueError(
            f"Expected argument `module` {name} to be a class of Lightning modules but got "
            f"{found!r}."
        )
    make: Callable[..., pl.LightningModule] = found
    return make


def default_name(data: str, space: str) -> str:
    """Return what a new study is called, before the time."""
    return f"{Path(data).stem}-{Path(space).stem}".replace(":", "-")
