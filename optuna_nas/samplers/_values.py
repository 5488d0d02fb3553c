"""Drawing and changing single parameter values, for every Optuna distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_nas.supernet import Prior


def draw(
    name: str, distribution: BaseDistribution, rng: np.random.Generator, prior: Prior | None = None
) -> Any:
    """Draw a value: from the prior if it knows the decision, else uniformly (in log if so asked).

    Args:
        name: Name of the parameter.
        distribution: Any Optuna distribution.
        rng: Random generator.
        prior: Optional probabilities of the choices.

    Returns:
        A plain ``int``, ``float`` or choice that the distribution contains.
    """
    if prior is not None and name in prior:
        return prior.draw(name, rng)
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return from_unit(distribution, rng.random())


def redraw(
    name: str,
    distribution: BaseDistribution,
    value: Any,
    rng: np.random.Generator,
    prior: Prior | None = None,
) -> Any:
    """Draw a value other than ``value`` where there is one."""
    if distribution.single():
        return value
    for _ in range(20):
        other = draw(name, distribution, rng, prior)
        if other != value:
            return other
    return draw(name, distribution, rng)


def from_unit(distribution: FloatDistribution | IntDistribution, unit: float) -> float | int:
    """Map a number in [0, 1) to a value, so that uniform numbers give uniform values.

    A step (1 for integers) divides the range into equal cells; with ``log`` the range is uniform
    in the logarithm.
    """
    low, high, step = float(distribution.low), float(distribution.high), distribution.step
    if isinstance(distribution, IntDistribution) and distribution.log:
        value = math.exp(math.log(low - 0.5) + unit * math.log((high + 0.5) / (low - 0.5)))
        return int(min(max(round(value), distribution.low), distribution.high))
    if distribution.log:
        return float(min(max(low * (high / low) ** unit, low), high))
    if step is None:
        return float(min(low + unit * (high - low), high))
    n_cells = round((high - low) / step) + 1
    index = min(int(unit * n_cells), n_cells - 1)
    if isinstance(distribution, IntDistribution):
        return int(distribution.low + index * distribution.step)
    return float(min(low + index * step, high))
