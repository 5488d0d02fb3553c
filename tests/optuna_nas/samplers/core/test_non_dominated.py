"""The non-dominated individuals, against all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.samplers.core import Individual
from optuna_nas.samplers.core import NonDominated


def individual(number: int, losses: tuple[float, ...], violation: float = 0.0) -> Individual:
    return Individual(number, {}, losses, violation, number)


def dominates(one: Individual, other: Individual) -> bool:
    if one.violation != other.violation:
        return one.violation < other.violation
    no_worse = all(a <= b for a, b in zip(one.losses, other.losses, strict=True))
    return no_worse and one.losses != other.losses


@pytest.mark.parametrize("n_objectives", [1, 2, 3])
@pytest.mark.parametrize("infeasible", [False, True])
def test_members_are_those_that_nothing_dominates(n_objectives: int, infeasible: bool) -> None:
    rng = np.random.default_rng(n_objectives)
    everyone = [
        individual(
            number,
            tuple(map(float, rng.integers(0, 6, n_objectives))),
            float(rng.integers(0, 3)) if infeasible else 0.0,
        )
        for number in range(60)
    ]
    expected = {
        one.number for one in everyone if not any(dominates(other, one) for other in everyone)
    }
    for order in (everyone, everyone[::-1]):
        found = NonDominated()
        for n in (10, 10, 37, 60):  # What is new is read on.
            found.add(order[:n])
        assert {member.number for member in found.members} == expected


def test_nobody_is_not_dominated_by_anybody() -> None:
    found = NonDominated()
    found.add([])
    assert found.members == []
