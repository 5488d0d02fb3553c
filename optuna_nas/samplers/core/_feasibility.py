"""How far a proposal breaks the constraints that can be checked without training."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna_nas.constraints import Constraint
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


_MAX_CACHED = 100_000


class Feasibility:
    """Evaluates cheap constraints, each architecture once.

    Args:
        space: The space of the architectures; needed if a constraint is cheap.
        constraints: Those without a function are ignored.

    Raises:
        ValueError: If there is a cheap constraint and no space.
    """

    def __init__(self, space: SearchSpace | None, constraints: Sequence[Constraint]) -> None:
        self._cheap = [constraint for constraint in constraints if constraint.is_cheap]
        if self._cheap and space is None:
            raise ValueError(
                "Expected argument `space` to be given, as the constraints "
                f"{[str(c) for c in self._cheap]} are functions of architectures, but got None."
            )
        self._space = space
        self._violations: dict[Architecture, float] = {}

    def __bool__(self) -> bool:
        return bool(self._cheap)

    def violation(self, params: Mapping[str, Any]) -> float:
        """Return the sum of the violations, 0 if all constraints hold."""
        if not self._cheap or self._space is None:
            return 0.0
        architecture = self._space.architecture(params)
        violation = self._violations.get(architecture)
        if violation is None:
            values = [c.violation(c.value_of(architecture)) for c in self._cheap]
            violation = sum(max(value, 0.0) for value in values)
            if len(self._violations) >= _MAX_CACHED:
                self._violations.clear()
            self._violations[architecture] = violation
        return violation
