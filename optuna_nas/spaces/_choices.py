"""The countable view of an Optuna distribution: how many choices it has, and which is the i-th."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import BaseTrial

from optuna_nas.spaces._architecture import Choice


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
