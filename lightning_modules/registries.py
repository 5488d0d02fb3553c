"""What has a name: tasks, search spaces, proxies, relaxations and data. Nothing is loaded yet."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from optuna_nas.registry import Registry


if TYPE_CHECKING:
    from lightning_modules.proxies import Proxy
    from lightning_modules.spaces import Kit
    from lightning_modules.supernet.relaxations import Relaxation
    from lightning_modules.tasks import Task


def _is_task(value: Any) -> bool:
    from lightning_modules.tasks import Task

    return isinstance(value, type) and issubclass(value, Task)


def _is_space(value: Any) -> bool:
    from lightning_modules.spaces import is_kit

    return is_kit(value)


def _is_relaxation(value: Any) -> bool:
    from lightning_modules.supernet.relaxations import Relaxation

    return isinstance(value, type) and issubclass(value, Relaxation)


TASKS: Registry[type[Task]] = Registry(
    "task", "lightning_modules.tasks", "TASK", check=_is_task, article="a class of tasks"
)
"""Classes of tasks: what networks are trained for."""

SPACES: Registry[Kit] = Registry(
    "space",
    "lightning_modules.spaces",
    "KIT",
    check=_is_space,
    article="a search space or its kit",
)
"""Kits of search spaces, and search spaces; see :func:`~lightning_modules.spaces.as_kit`."""

PROXIES: Registry[Proxy] = Registry(
    "proxy", "lightning_modules.proxies", "PROXY", article="a zero-cost proxy"
)
"""Zero-cost proxies of untrained networks."""

RELAXATIONS: Registry[type[Relaxation]] = Registry(
    "relaxation",
    "lightning_modules.supernet.relaxations",
    "RELAXATION",
    check=_is_relaxation,
    article="a class of relaxations",
)
"""Ways of training a supernet."""


def _is_data(value: Any) -> bool:
    import pytorch_lightning as pl

    kind = value if isinstance(value, type) else type(value)
    return issubclass(kind, pl.LightningDataModule)


DATA: Registry[Any] = Registry(
    "data",
    "lightning_modules.data",
    "DATA",
    check=_is_data,
    article="a LightningDataModule",
    group="optuna_nas.data",
)
"""Data modules: data sets by name, and readers of files."""
