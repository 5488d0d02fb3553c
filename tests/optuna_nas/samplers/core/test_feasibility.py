"""Constraints that are checked before anything is proposed."""

from __future__ import annotations

import pytest

from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import Constraint
from optuna_nas.samplers.core import _feasibility
from optuna_nas.samplers.core._feasibility import Feasibility


CELL = CellSpace()


def convolutions(architecture: Architecture) -> float:
    return list(architecture.values()).count("nor_conv_3x3")


def skips(architecture: Architecture) -> float:
    return list(architecture.values()).count("skip_connect")


FEW = Constraint("convolutions", upper=2, function=convolutions)
SOME = Constraint("skips", lower=1, function=skips)
MEASURED = Constraint("latency_ms", upper=3)


def cell(*choices: str) -> Architecture:
    names = list(CELL.distributions)
    filled = [*choices, *["none"] * (len(names) - len(choices))]
    return CELL.architecture(dict(zip(names, filled, strict=True)))


def test_violations_add_up_and_slack_does_not_count() -> None:
    feasibility = Feasibility(CELL, [FEW, MEASURED, SOME])
    conv, skip = "nor_conv_3x3", "skip_connect"
    assert feasibility.violation(cell(conv, skip)) == 0
    only_few = FEW.violation(4)
    assert feasibility.violation(cell(conv, conv, conv, conv, skip)) == only_few > 0
    both = FEW.violation(3) + SOME.violation(0)
    assert feasibility.violation(cell(conv, conv, conv)) == both


def test_what_needs_training_is_not_checked() -> None:
    assert not Feasibility(None, [MEASURED])
    assert Feasibility(None, [MEASURED]).violation({"x": 1}) == 0
    assert Feasibility(CELL, [MEASURED, FEW])


def test_a_cheap_constraint_needs_a_space() -> None:
    with pytest.raises(ValueError, match=r"`space` to be given.*convolutions<=2.*but got None"):
        Feasibility(None, [MEASURED, FEW])


def test_an_architecture_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_feasibility, "_MAX_CACHED", 2)
    checked: list[Architecture] = []

    def counted(architecture: Architecture) -> float:
        checked.append(architecture)
        return 0.0

    feasibility = Feasibility(CELL, [Constraint("calls", upper=1, function=counted)])
    for first in ("none", "skip_connect", "none", "skip_connect"):
        feasibility.violation({**cell(first), "learning_rate": 0.1})
    assert len(checked) == 2
    feasibility.violation(cell("avg_pool_3x3"))  # More than are kept.
    feasibility.violation(cell("none"))
    assert len(checked) == 4
