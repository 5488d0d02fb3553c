"""The countable view of an Optuna distribution: how many choices it has, and which is the i-th."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import BaseTrial

from optuna_nas.spaces._architecture import Choice


MAX_NUMERICAL_CHOICES = 2**22
"""A numerical decision with more choices would not survive the way through float32."""


def is_countable(distribution: BaseDistribution) -> bool:
    """Tell whether the distribution has finitely many choices (no float without a step)."""
    return not (isinstance(distribution, FloatDistribution) and distribution.step is None)


def n_choices(distribution: BaseDistribution) -> int:
    """Return the number of choices of a countable distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    assert isinstance(distribution, FloatDistribution)
    assert distribution.step is not None
    low, high, step = (
        Decimal(str(v)) for v in (distribution.low, distribution.high, distribution.step)
    )
    return int((high - low) // step) + 1


def choice_at(distribution: BaseDistribution, index: int) -> Choice:
    """Return the choice at ``index`` in [0, :func:`n_choices`)."""
    if isinstance(distribution, CategoricalDistribution):
        choice: Any = distribution.choices[index]
        return choice  # type: ignore[no-any-return]
    if isinstance(distribution, IntDistribution):
        return int(distribution.low + index * distribution.step)
    assert isinstance(distribution, FloatDistribution)
    assert distribution.step is not None
    return float(Decimal(str(distribution.low)) + index * Decimal(str(distribution.step)))


def choices_of(distribution: BaseDistribution) -> Sequence[Any]:
    """Return all choices of a countable distribution, in its order.

    Raises:
        ValueError: If it is a float without a step.

    Example:

        >>> list(choices_of(IntDistribution(8, 32, step=8)))
        [8, 16, 24, 32]
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    if not is_countable(distribution):
        raise ValueError(
            "Expected argument `distribution` to be categorical, int, or float with a step "
            f"but got {distribution!r}."
        )
    return [choice_at(distribution, index) for index in range(n_choices(distribution))]


def index_of(distribution: BaseDistribution, choice: object) -> int | None:
    """Return the index of ``choice``, or :obj:`None` if the distribution does not hold it.

    Choices are compared by ``==`` as in Optuna, and floats with its tolerance.
    """
    if isinstance(distribution, CategoricalDistribution):
        for index, candidate in enumerate(distribution.choices):
            if candidate == choice:
                return index
        return None
    if not isinstance(choice, int | float | np.integer | np.floating):
        return None
    if isinstance(distribution, IntDistribution):
        if not distribution.low <= choice <= distribution.high or choice != int(choice):
            return None
        index, rest = divmod(int(choice) - distribution.low, distribution.step)
        return None if rest else index
    assert isinstance(distribution, FloatDistribution)
    assert distribution.step is not None
    if not distribution.low <= choice <= distribution.high:
        return None
    steps = (float(choice) - distribution.low) / distribution.step
    index = round(steps)
    held = abs(steps - index) < 1e-8 or choice == choice_at(distribution, index)
    return index if held else None


def suggest(trial: BaseTrial, name: str, distribution: BaseDistribution) -> Choice:
    """Ask ``trial`` for a value of ``distribution`` with the public ``suggest_*`` method."""
    if isinstance(distribution, CategoricalDistribution):
        choice: Any = trial.suggest_categorical(name, distribution.choices)
        return choice  # type: ignore[no-any-return]
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name,
            distribution.low,
            distribution.high,
            step=distribution.step,
            log=distribution.log,
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(
        name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
    )


def default_choice(distribution: BaseDistribution) -> Choice:
    """Return the choice in the middle (the lower of two), which stands where none was given."""
    return choice_at(distribution, (n_choices(distribution) - 1) // 2)


def describe(distribution: BaseDistribution) -> str:
    """Name the choices of a distribution for an error message."""
    n = n_choices(distribution)
    if n <= 12:
        return str(list(choices_of(distribution)))
    low, high = choice_at(distribution, 0), choice_at(distribution, n - 1)
    return f"{low} to {high} ({n} choices)"


def check_countable(distributions: Mapping[str, BaseDistribution]) -> None:
    """Raise a ValueError if a distribution cannot be a decision of a search space."""
    for name, distribution in distributions.items():
        if not isinstance(distribution, BaseDistribution):
            raise ValueError(
                f"Expected the decision `{name}` to be an Optuna distribution "
                f"but got {distribution!r}."
            )
        if not is_countable(distribution):
            raise ValueError(
                f"Expected the decision `{name}` to be categorical, int, or float with a step "
                f"but got {distribution!r}; suggest continuous hyperparameters in the objective."
            )
        if (
            not isinstance(distribution, CategoricalDistribution)
            and n_choices(distribution) > MAX_NUMERICAL_CHOICES
        ):
            raise ValueError(
                f"Expected the decision `{name}` to have at most {MAX_NUMERICAL_CHOICES} "
                f"choices but got {n_choices(distribution)}."
            )
