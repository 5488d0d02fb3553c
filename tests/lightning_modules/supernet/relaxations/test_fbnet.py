"""FBNet: the sampled mixture and its loss, against references by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.supernet import Gate
from lightning_modules.supernet.relaxations import CostFactor
from lightning_modules.supernet.relaxations import FBNet
from lightning_modules.supernet.relaxations import LatencyFactor
from tests.lightning_modules.supernet.relaxations.small_cells import expected_us
from tests.lightning_modules.supernet.relaxations.small_cells import first_cost
from tests.lightning_modules.supernet.relaxations.small_cells import gumbel_weights
from tests.lightning_modules.supernet.relaxations.small_cells import loss_of
from tests.lightning_modules.supernet.relaxations.small_cells import make
from tests.lightning_modules.supernet.relaxations.small_cells import make_batch
from tests.lightning_modules.supernet.relaxations.small_cells import make_table
from tests.lightning_modules.supernet.relaxations.small_cells import STEP


def test_temperatures_fall_exponentially_as_published() -> None:
    _, relaxation = make(FBNet)
    assert isinstance(relaxation, FBNet)
    temperature = 5.0
    for epoch in range(91):
        assert relaxation.temperature(epoch / 90) == pytest.approx(temperature)
        temperature *= math.exp(-0.045)


@pytest.mark.parametrize("purpose", [0, 1])
def test_all_choices_are_weighted_by_a_gumbel_softmax(purpose: int) -> None:
    supernet, relaxation = make(FBNet, temperatures=(4.0, 1.0))
    expected = gumbel_weights(relaxation, 2.0, purpose)
    for name, gate in relaxation.gates(supernet, STEP, purpose).items():
        assert gate.active == (0, 1, 2, 3, 4)
        assert gate.weights is not None
        np.testing.assert_allclose(gate.weights.detach().numpy(), expected[name], rtol=1e-12)


def test_fbnet_multiplies_the_loss_by_each_cost_of_the_sampled_mixture() -> None:
    table = make_table()
    costs = (LatencyFactor(table, alpha=0.3, beta=0.7), CostFactor(first_cost, alpha=2.0))
    supernet, relaxation = make(FBNet, costs=costs)
    batch = make_batch()
    soft = gumbel_weights(relaxation, relaxation.temperature(0.5), 1)  # type: ignore[attr-defined]
    gates = {
        name: Gate((0, 1, 2, 3, 4), torch.from_numpy(weights)) for name, weights in soft.items()
    }
    entropy = float(loss_of(supernet, batch, gates))
    latency = 0.3 * math.log(expected_us(table, soft)) ** 0.7
    other = 2.0 * math.log(3 + 10 * sum(float(w[3]) for w in soft.values())) ** 0.6
    found = relaxation.architecture_step(supernet, batch, make_batch(2), STEP, Tensor.backward)
    assert float(found) == pytest.approx(entropy * latency * other, rel=1e-6)
