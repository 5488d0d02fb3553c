"""Constraints on architectures: bounds on a function of them or on what they measure."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
import math
import re

import numpy as np

from optuna_nas.metrics import METRICS
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


_FORM = re.compile(r"(?P<metric>\w+)\s*(?P<bound><=|>=)\s*(?P<value>\S+)")
_N_STARTS = 20
"""Random architectures, of which the best is where a descent starts."""


@dataclass(frozen=True)
class Constraint:
    """A bound on a value of an architecture.

    With ``function`` it can be checked without training: samplers do not propose what breaks it,
    and :class:`~optuna_nas.ArchitectureObjective` records it before anything expensive. Without,
    it bounds the metric of this name that the evaluation measures.

    Example:

        >>> from optuna_nas import CellSpace
        >>> def convolutions(architecture):
        ...     return sum(str(choice).startswith("nor_conv") for choice in architecture.values())
        >>> few = Constraint("convolutions", upper=3, function=convolutions)
        >>> cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
        >>> few.violation(few.value_of(CellSpace().from_string(cell)))
        -0.6666666666666666

    Args:
        metric: Name of the value, e.g. ``"params"`` or ``"latency_ms"``.
        upper: Largest allowed value.
        lower: Smallest allowed value; exactly one of ``upper`` and ``lower`` is given.
        function: Optional function from architecture to the value.

    Raises:
        ValueError: If not exactly one bound is given, or it is not finite.
    """

    metric: str
    upper: float | None = None
    lower: float | None = None
    function: Callable[[Architecture], float] | None = None

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.upper, self.lower) if bound is not None]
        if len(bounds) != 1 or not math.isfinite(bounds[0]):
            raise ValueError(
                f"Expected the constraint on `{self.metric}` to have either a finite `upper` or a "
                f"finite `lower` but got upper={self.upper} and lower={self.lower}."
            )

    def __str__(self) -> str:
        sign, bound = ("<=", self.upper) if self.upper is not None else (">=", self.lower)
        # All digits, as different bounds are different constraints; 3 rather than 3.0.
        return f"{self.metric}{sign}{str(bound).removesuffix('.0')}"

    def with_function(self, function: Callable[[Architecture], float]) -> Constraint:
        """Return the constraint with a function, so that it can be checked without training."""
        return replace(self, function=function)

    @property
    def is_cheap(self) -> bool:
        """Whether it can be checked without training."""
        return self.function is not None

    def value_of(self, architecture: Architecture) -> float:
        """Return the value of an architecture.

        Raises:
            ValueError: If the constraint has no function.
        """
        if self.function is None:
            raise ValueError(f"Expected the constraint {self} to have a function but got none.")
        return float(self.function(architecture))

    def violation(self, value: float) -> float:
        """Return how far a value lies beyond the bound, relative to the bound.

        Returns:
            Above 0 for a violation, as Optuna's constraint values. NaN counts as infinite.
        """
        if math.isnan(value):
            return math.inf
        if self.upper is not None:
            return (value - self.upper) / (abs(self.upper) or 1.0)
        assert self.lower is not None
        return (self.lower - value) / (abs(self.lower) or 1.0)


def nearest_values(
    space: SearchSpace,
    constraints: Sequence[Constraint],
    rng: np.random.Generator,
    *,
    n_tries: int = 600,
) -> tuple[bool, dict[str, float]]:
    """Look for an architecture that keeps all constraints, without training.

    It goes downhill in the sum of the violations, from neighbour to neighbour, and starts anew
    from random architectures until it has found one or has tried enough.

    Args:
        space: The search space.
        constraints: Constraints that have functions.
        rng: Random generator.
        n_tries: Number of architectures to look at, at least 1.

    Returns:
        Whether there is one, and by the text of each constraint the value that came closest to the
        allowed side: the smallest under an upper bound, the largest over a lower one.

    Raises:
        ValueError: If a constraint has no function.
    """
    nearest: dict[str, float] = {}
    left = n_tries

    def violation_of(architecture: Architecture) -> float:
        nonlocal left
        left -= 1
        total = 0.0
        for constraint in constraints:
            value, name = constraint.value_of(architecture), str(constraint)
            better = min if constraint.upper is not None else max
            nearest[name] = better(value, nearest.get(name, value))
            total += max(constraint.violation(value), 0.0)
        return total

    while left > 0:
        violation, architecture = math.inf, None
        for _ in range(min(_N_STARTS, left)):
            drawn = space.sample(rng)
            found = violation_of(drawn)
            if found == 0:
                return True, nearest
            if architecture is None or found < violation:
                violation, architecture = found, drawn
        while architecture is not None and left > 0:
            near = space.neighbors(architecture)
            steps = ((violation_of(near[i]), near[i]) for i in rng.permutation(len(near))[:left])
            violation, architecture = next(
                (step for step in steps if step[0] < violation), (violation, None)
            )
            if violation == 0:
                return True, nearest
    return False, nearest


def parse_constraints(
    bounds: Sequence[str | Constraint], known: Sequence[str] | None = None
) -> list[Constraint]:
    """Read bounds such as ``"params<=100000"``.

    Args:
        bounds: Texts; constraints stay as they are.
        known: Names that a metric can have; any by default.

    Raises:
        ValueError: If one is malformed, or given twice.

    Example:

        >>> [str(bound) for bound in parse_constraints(["latency_ms <= 2", "params>=1e3"])]
        ['latency_ms<=2', 'params>=1000']
    """
    constraints = [
        bound if isinstance(bound, Constraint) else _parse(bound, known) for bound in bounds
    ]
    names = [str(constraint) for constraint in constraints]
    if len(set(names)) != len(names):
        raise ValueError(
            f"Expected argument `constraint` to be different bounds but got {' '.join(names)}."
        )
    return constraints


def _parse(text: str, known: Sequence[str] | None) -> Constraint:
    form = _FORM.fullmatch(text.strip())
    try:
        if form is None or (known is not None and form["metric"] not in known):
            raise ValueError
        value = float(form["value"])
        if form["bound"] == "<=":
            return Constraint(form["metric"], upper=value)
        return Constraint(form["metric"], lower=value)
    except ValueError:
        names = f" with a metric of {', '.join(known)}" if known is not None else ""
        raise ValueError(
            f"Expected argument `constraint` to be METRIC<=NUMBER or METRIC>=NUMBER{names} "
            f"but got {text!r}."
        ) from None


def require_kept(
    space: SearchSpace, constraints: Sequence[Constraint], rng: np.random.Generator
) -> None:
    """Look for an architecture that keeps all constraints.

    Args:
        space: The search space.
        constraints: Constraints that have functions.
        rng: Random generator.

    Raises:
        ValueError: If none is found.
    """
    if not constraints:
        return
    kept, nearest = nearest_values(space, constraints, rng)
    if kept:
        return
    seen = [
        f"the {'smallest' if bound.upper is not None else 'largest'} {bound.metric} is "
        f"{METRICS.get(bound.metric).text(nearest[str(bound)])}"
        for bound in constraints
    ]
    raise ValueError(
        f"Expected argument `constraint` to be kept by an architecture of {space.name} but got "
        f"{' '.join(map(str, constraints))}, for which none was found; of those that were tried, "
        f"{' and '.join(seen)}."
    )
