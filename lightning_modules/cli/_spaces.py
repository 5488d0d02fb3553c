"""Search spaces by the name that a user gives, with the way from architecture to network."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import functools
import importlib
import importlib.util
from pathlib import Path
import sys
from types import ModuleType
from typing import Any

from torch import nn

from lightning_modules import BUILDERS
from lightning_modules.cli._errors import CommandError
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import NAMED_SPACES
from optuna_nas.spaces import read_named
from optuna_nas.spaces import SearchSpace


_SMALL_NETWORKS: Mapping[str, Mapping[str, int]] = {
    "cell": {"channels": 8, "cells_per_stage": 1},
    "darts": {"channels": 4, "cells": 3},
    "nasnet": {"channels": 4, "cells": 3},
}
"""Networks of the search that train quickly on a CPU; ``--network`` changes them."""


@dataclass(frozen=True)
class NamedSpace:
    """A search space and how to build its networks.

    Args:
        name: What the user gave: a known name, ``MODULE:NAME`` or ``FILE.py:NAME``.
        space: The search space.
        network: Arguments of the builder besides the data's shape.
    """

    name: str
    space: SearchSpace
    network: Mapping[str, int] = field(default_factory=dict)

    def builder(
        self, input_shape: tuple[int, int, int], num_classes: int
    ) -> Callable[[Architecture], nn.Module]:
        """Return the function from architecture to network for data of this shape.

        Raises:
            CommandError: If it cannot build a network.
        """
        own_build: Callable[[Architecture], nn.Module] | None = getattr(self.space, "build", None)
        build = own_build or functools.partial(
            BUILDERS[self.space.name],
            input_shape=input_shape,
            num_classes=num_classes,
            **self.network,
        )
        try:  # Better one error now than one in each trial.
            build(self.space.architecture_at(0))
        except Exception as error:
            reason = " ".join(str(error).split())
            raise CommandError(
                f"Expected space {self.name} with network options {dict(self.network)} to build "
                f"networks but got {type(error).__name__}: {reason}"
            ) from error
        return build


def named_space(name: str, network: Mapping[str, int] | None = None) -> NamedSpace:
    """Find the space ``name``.

    Raises:
        CommandError: If there is none, or ``network`` does not fit it.
    """
    if name in NAMED_SPACES:
        small = _SMALL_NETWORKS.get(name, {})
        if network and not small:
            raise CommandError(
                f"Expected no option --network for the space {name} but got {dict(network)}."
            )
        return NamedSpace(name, NAMED_SPACES[name](), {**small, **(network or {})})
    if network:
        raise CommandError(
            f"Expected no option --network for a space of your own but got {dict(network)}."
        )
    space = _import_space(name)
    if not callable(getattr(space, "build", None)):
        raise CommandError(
            f"Expected the space {name} to have a function `build` from architecture to network."
        )
    return NamedSpace(name, space)


def read_architecture(
    text: str, name: str | None, network: Mapping[str, int] | None
) -> tuple[NamedSpace, Architecture]:
    """Read a string encoding, in the named space or in whichever known one can.

    Raises:
        CommandError: If no space can read it; the sentence says why.
    """
    try:
        if name is not None:
            found = named_space(name, network)
            return found, found.space.from_string(text)
        known, _, architecture = read_named(text)
    except ValueError as error:
        message = str(error).replace("argument `text`", "ARCHITECTURE")
        raise CommandError(message) from error
    return named_space(known, network), architecture


def _import_space(name: str) -> SearchSpace:
    where, colon, attribute = name.rpartition(":")
    if not colon:
        raise CommandError(
            f"Expected option --space to be one of {', '.join(NAMED_SPACES)}, MODULE:NAME or "
            f"FILE.py:NAME but got {name!r}."
        )
    try:
        module = _import_file(where) if where.endswith(".py") else _import_module(where)
        space: Any = getattr(module, attribute)
    except (Exception, SystemExit) as error:
        raise CommandError(
            f"Expected option --space {name} to name a search space but importing it failed: "
            f"{type(error).__name__}: {error}."
        ) from error
    if not isinstance(space, SearchSpace):
        raise CommandError(
            f"Expected option --space {name} to name a search space but got {type(space)}."
        )
    return space


def _import_module(where: str) -> ModuleType:
    if "" not in sys.path:
        sys.path.insert(0, "")
    return importlib.import_module(where)


def _import_file(where: str) -> ModuleType:
    path = Path(where).resolve()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {where}")
    if str(path.parent) not in sys.path:  # For what stands beside it.
        sys.path.append(str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
