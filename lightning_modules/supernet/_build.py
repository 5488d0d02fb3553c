"""From a search space to its supernet."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import inspect
from typing import Any

from lightning_modules.spaces.cell.supernet import CellSupernet
from lightning_modules.spaces.chain.supernet import ChainSupernet
from lightning_modules.spaces.darts.supernet import DartsSupernet
from lightning_modules.spaces.mobile.supernet import MobileSupernet
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations import find_relaxation
from lightning_modules.supernet.relaxations import Relaxation
from optuna_nas.spaces import SearchSpace


SUPERNETS: dict[str, Callable[..., Supernet]] = {
    "cell": CellSupernet,
    "chain": ChainSupernet,
    "darts": DartsSupernet,
    "mobile": MobileSupernet,
}
"""Supernets by the name of the search space; one of your own can be added."""


def build_supernet(space: SearchSpace, **arguments: Any) -> Supernet:
    """Build the supernet that :data:`SUPERNETS` has for a search space.

    Args:
        space: The search space, or a sub-space, whose dropped choices are not built.
        arguments: Arguments of the space's builder, ``input_shape`` and ``num_classes`` at least.

    Raises:
        ValueError: If there is no supernet for the space, or it has not these arguments.
    """
    make = SUPERNETS.get(space.name)
    if make is None:
        raise ValueError(
            f"Expected argument `space` to be of the search spaces {sorted(SUPERNETS)} "
            f"but got one of {space.name!r}; add its supernet to `SUPERNETS`."
        )
    unknown = _unknown(make, arguments)
    if unknown:
        raise ValueError(
            f"Expected the supernet of search space `{space.name}` to have the arguments given "
            f"but it has no {unknown}."
        )
    supernet = make(space, **arguments)
    supernet.arguments = dict(arguments)
    return supernet


def build_relaxed(
    space: SearchSpace,
    relaxation: str,
    *,
    relaxation_arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
    **arguments: Any,
) -> tuple[Supernet, Relaxation]:
    """Build the supernet that a relaxation wants, and the relaxation.

    Args:
        space: The search space.
        relaxation: Name of the relaxation.
        relaxation_arguments: More arguments of it.
        seed: Seed of the relaxation; the weights come from the global generator.
        arguments: Those of :func:`build_supernet`, which come before the relaxation's wishes.

    Raises:
        ValueError: If the relaxation is unknown or does not suit the space, or an argument is
            wrong.
    """
    kind = find_relaxation(relaxation)
    make = SUPERNETS.get(space.name)
    missing = [] if make is None else _unknown(make, kind.supernet_arguments)
    if missing:
        raise ValueError(
            f"Expected argument `relaxation` to suit search space `{space.name}` but got "
            f"{relaxation!r}, and its supernet has no {missing}."
        )
    supernet = build_supernet(space, **{**kind.supernet_arguments, **arguments})
    return supernet, kind(supernet, seed=seed, **(relaxation_arguments or {}))


def _unknown(make: Callable[..., Supernet], arguments: Mapping[str, Any]) -> list[str]:
    """Return those of the arguments that a builder does not have."""
    known = inspect.signature(make).parameters
    return [name for name in arguments if name not in known]
