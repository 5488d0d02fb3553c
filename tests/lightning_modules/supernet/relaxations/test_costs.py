"""Factors of the loss that grow with costs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lightning_modules.supernet.relaxations import CostFactor
from lightning_modules.supernet.relaxations import LatencyFactor
from lightning_modules.supernet.relaxations import RELAXATIONS
from lightning_modules.supernet.relaxations import Step
from tests.lightning_modules.supernet.relaxations.small_cells import expected_us
from tests.lightning_modules.supernet.relaxations.small_cells import first_cost
from tests.lightning_modules.supernet.relaxations.small_cells import make
from tests.lightning_modules.supernet.relaxations.small_cells import make_table


@pytest.mark.parametrize("name", ["gdas", "fbnet", "darts"])
def test_architecture_steps_without_accuracy_find_the_cheapest(name: str) -> None:
    table = make_table()
    kind: Any = RELAXATIONS.get(name)
    supernet, relaxation = make(kind, costs=(LatencyFactor(table),))
    optimizer = torch.optim.Adam(relaxation.parameters(), lr=0.1)
    before = expected_us(table, relaxation.probabilities())
    for number in range(40):
        optimizer.zero_grad()
        gates = relaxation.gates(supernet, Step(number, 0.5, 0.1), 1)
        weights = relaxation.weights_for_costs(supernet, gates)
        relaxation.costs[0](supernet.decision_probabilities(weights)).backward()
        optimizer.step()
    assert expected_us(table, relaxation.probabilities()) < 0.8 * before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"alpha": 0.0}, "`alpha` to be above 0 but got 0.0"), ({"beta": -1.0}, "`beta` .* -1.0")],
)
def test_wrong_factors(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CostFactor(first_cost, **arguments)
    with pytest.raises(ValueError, match=message):
        LatencyFactor(make_table(), **arguments)


@pytest.mark.parametrize("cost", [1.0, 0.2, -3.0, math.nan])
def test_costs_whose_logarithm_is_not_above_zero(cost: float) -> None:
    factor = CostFactor(lambda _: torch.tensor(cost))
    with pytest.raises(ValueError, match="a cost above 1, in a unit that makes it so"):
        factor({})
