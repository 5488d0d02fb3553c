"""Drawing and changing single parameter values, for every Optuna distribution."""

from __future__ import annotations

from collections.abc import Hashable
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_nas.prior import Prior
from optuna_nas.spaces import choice_at
from optuna_nas.spaces import index_of
from optuna_nas.spaces import is_countable
from optuna_nas.spaces import n_choices


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


def polynomial_mutation(
    distribution: FloatDistribution | IntDistribution,
    value: float,
    rng: np.random.Generator,
    *,
    eta: float = 20.0,
) -> float | int:
    """Perturb a number within its bounds, small changes being likelier than large ones.

    Source: Deb & Agrawal, A niched-penalty approach for constraint handling in genetic
    algorithms, ICANNGA 1999, section 3.2 (the bounded form), on the scale of the distribution.

    Args:
        distribution: Bounds and scale.
        value: The current value.
        rng: Random generator.
        eta: Distribution index: the larger, the closer to ``value``.
    """
    unit = to_unit(distribution, value)
    u = rng.random()
    if u < 0.5:
        base = 2 * u + (1 - 2 * u) * (1 - unit) ** (eta + 1)
        delta = base ** (1 / (eta + 1)) - 1
    else:
        base = 2 * (1 - u) + (2 * u - 1) * unit ** (eta + 1)
        delta = 1 - base ** (1 / (eta + 1))
    return from_unit(distribution, min(max(unit + delta, 0.0), 1.0))


def to_unit(distribution: FloatDistribution | IntDistribution, value: float) -> float:
    """Map a value to [0, 1]; :func:`from_unit` maps it back, steps to the middle of their cell."""
    low, high, step = float(distribution.low), float(distribution.high), distribution.step
    value = min(max(float(value), low), high)
    if distribution.single():
        return 0.5
    if isinstance(distribution, IntDistribution) and distribution.log:
        return math.log(value / (low - 0.5)) / math.log((high + 0.5) / (low - 0.5))
    if distribution.log:
        return math.log(value / low) / math.log(high / low)
    if step is None:
        return (value - low) / (high - low)
    n_cells = round((high - low) / step) + 1
    return (round((value - low) / step) + 0.5) / n_cells


def nearby(distribution: BaseDistribution, value: Any) -> list[Any]:
    """Return the values next to ``value``.

    Returns:
        For categorical distributions all other choices; for numbers the next lower and higher, and
        for continuous ones those a tenth of the scale away.
    """
    if isinstance(distribution, CategoricalDistribution):
        return [choice for choice in distribution.choices if choice != value]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if distribution.step is not None:  # Counted, as a sum of steps drifts off the grid.
        index = round((value - distribution.low) / distribution.step)
        n = n_choices(distribution)
        return [choice_at(distribution, i) for i in (index - 1, index + 1) if 0 <= i < n]
    unit = to_unit(distribution, value)
    return [from_unit(distribution, unit + d) for d in (-0.1, 0.1) if 0 <= unit + d <= 1]


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
    n = n_choices(distribution)
    stepped: Any = choice_at(distribution, min(int(unit * n), n - 1))
    return stepped  # type: ignore[no-any-return]


def holds(distribution: BaseDistribution, value: Any) -> bool:
    """Tell whether a distribution contains a value, which may have been enqueued."""
    if is_countable(distribution):
        return index_of(distribution, value) is not None
    assert isinstance(distribution, FloatDistribution)
    return isinstance(value, int | float) and distribution.low <= value <= distribution.high


def hashable(value: Any) -> Hashable:
    """Return a value, or a stand-in for one that has no hash: Optuna allows lists as choices."""
    try:
        hash(value)
    except TypeError:
        return type(value).__name__, repr(value)
    found: Hashable = value
    return found
