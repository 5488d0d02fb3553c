"""From a search space to its supernet."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import inspect
from typing import Any

from lightning_modules.registries import RELAXATIONS
from lightning_modules.spaces import as_kit
from lightning_modules.spaces import Kit
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations import Relaxation
from lightning_modules.tasks import Task
from optuna_nas.spaces import SearchSpace


def build_supernet(
    space: SearchSpace, task: Task, *, kit: Kit | None = None, **arguments: Any
) -> Supernet:
    """Build the supernet that the kit of a search space makes.

    Args:
        space: The search space, or a sub-space, whose dropped choices are not built.
        task: It brings the head and the loss.
        kit: The kit; by default the one of the space's name.
        arguments: ``input_shape`` and sizes of the space's backbone.

    Raises:
        ValueError: If there is no supernet for the space, or it has not these arguments.
    """
    make = _maker(space, kit)
    unknown = _unknown(make, arguments)
    if unknown:
        raise ValueError(
            f"Expected the supernet of search space `{space.name}` to have the arguments given "
            f"but it has no {unknown}."
        )
    supernet = make(space, task, **arguments)
    supernet.arguments = dict(arguments)
    return supernet


def build_relaxed(
    space: SearchSpace,
    task: Task,
    relaxation: str,
    *,
    relaxation_arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
    kit: Kit | None = None,
    **arguments: Any,
) -> tuple[Supernet, Relaxation]:
    """Build the supernet that a relaxation wants, and the relaxation.

    Args:
        space: The search space.
        task: It brings the head and the loss.
        relaxation: Name of the relaxation.
        relaxation_arguments: More arguments of it.
        seed: Seed of the relaxation; the weights come from the global generator.
        kit: The kit; by default the one of the space's name.
        arguments: Those of :func:`build_supernet`, which come before the relaxation's wishes.

    Raises:
        ValueError: If the relaxation is unknown or does not suit the space, or an argument is
            wrong.
    """
    kind = RELAXATIONS.get(relaxation)
    missing = _unknown(_maker(space, kit), kind.supernet_arguments)
    if missing:
        raise ValueError(
            f"Expected argument `relaxation` to suit search space `{space.name}` but got "
            f"{relaxation!r}, and its supernet has no {missing}."
        )
    supernet = build_supernet(space, task, kit=kit, **{**kind.supernet_arguments, **arguments})
    return supernet, kind(supernet, seed=seed, **(relaxation_arguments or {}))


def _maker(space: SearchSpace, kit: Kit | None) -> Callable[..., Supernet]:
    """Return what makes a supernet of a space."""
    make = (as_kit(space) if kit is None else kit).supernet
    if make is None:
        raise ValueError(
            "Expected argument `space` to have a kit with a supernet but got one of "
            f"{space.name!r}."
        )
    return make


def _unknown(make: Callable[..., Supernet], arguments: Mapping[str, Any]) -> list[str]:
    """Return those of the arguments that a builder does not have."""
    known = inspect.signature(make).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return []
    return [name for name in arguments if name not in known]
