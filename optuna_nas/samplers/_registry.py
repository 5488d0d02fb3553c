"""The samplers by their names on the command line, and how one is made from what it accepts."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import inspect
from typing import Any

from optuna.samplers import BaseSampler

from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.registry import Registry
from optuna_nas.spaces import SearchSpace


SAMPLERS: Registry[Callable[..., BaseSampler]] = Registry(
    "sampler",
    "optuna_nas.samplers",
    "SAMPLER",
    skip=("core", "policy"),
    article="a sampler class",
)
"""Sampler classes, or functions that make a sampler. Each file of this package is a name."""


def make_sampler(
    sampler: str | Callable[..., BaseSampler],
    *,
    seed: int | None = None,
    space: SearchSpace | None = None,
    prior: Prior | None = None,
    constraints: Sequence[Constraint] = (),
    **own: Any,
) -> BaseSampler:
    """Make a sampler by its name, with as much of the common arguments as it accepts.

    Args:
        sampler: A name of :data:`SAMPLERS`, ``MODULE:NAME``, ``FILE.py:NAME``, or a sampler class.
        seed: Seed of the random numbers.
        space: The search space.
        prior: Probabilities of the choices. A sampler that does not accept it can still start
            from them: see :func:`~optuna_nas.prior.warm_start`.
        constraints: The constraints that proposals keep.
        own: The sampler's own arguments, e.g. ``population_size``.

    Raises:
        ValueError: If there is no such sampler or an argument is out of its range.

    Example:

        >>> make_sampler("optuna.samplers:CmaEsSampler", seed=0)  # doctest: +ELLIPSIS
        <optuna.samplers._cmaes.CmaEsSampler object at ...>
    """
    factory = SAMPLERS.get(sampler) if isinstance(sampler, str) else sampler
    common = {"seed": seed, "space": space, "prior": prior, "constraints": constraints}
    accepted = {name: value for name, value in common.items() if accepts(factory, name)}
    return factory(**accepted, **own)


def accepts(factory: Callable[..., Any], argument: str) -> bool:
    """Tell whether a class or a function takes an argument by its name.

    A class that hands ``**kwargs`` on to its base takes what the base takes.

    Example:

        >>> from optuna.samplers import TPESampler
        >>> accepts(TPESampler, "seed"), accepts(TPESampler, "prior")
        (True, False)
    """
    steps: list[Callable[..., Any]] = [factory]
    if inspect.isclass(factory):
        steps = [vars(cls)["__init__"] for cls in factory.__mro__ if "__init__" in vars(cls)][:-1]
    for step in steps:
        parameters = inspect.signature(step).parameters
        found = parameters.get(argument)
        if found is not None and found.kind in (found.POSITIONAL_OR_KEYWORD, found.KEYWORD_ONLY):
            return True
        if not any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
            return False
    return not inspect.isclass(factory)
