"""DARTS of first order: the mixture and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.supernet.relaxations import Darts
from lightning_modules.supernet.relaxations import Step
from tests.lightning_modules.supernet.relaxations.small_cells import loss_of
from tests.lightning_modules.supernet.relaxations.small_cells import make
from tests.lightning_modules.supernet.relaxations.small_cells import make_batch
from tests.lightning_modules.supernet.relaxations.small_cells import STEP


def test_darts_mixes_by_the_softmax_whatever_the_step() -> None:
    supernet, relaxation = make(Darts)
    for number in (0, 9):
        for name, gate in relaxation.gates(supernet, Step(number, 0.3, 0.1), number).items():
            logits = relaxation.logits[name].detach().numpy()
            assert gate.weights is not None
            np.testing.assert_allclose(
                gate.weights.detach().numpy(), np.exp(logits) / np.exp(logits).sum(), rtol=1e-12
            )


def test_gradient_of_first_order_by_differences() -> None:
    supernet, relaxation = make(Darts)
    batch = make_batch()
    relaxation.architecture_step(supernet, batch, make_batch(2), STEP, Tensor.backward)
    for logits in relaxation.logits.values():
        for i in range(5):
            sides = []
            for sign in (1, -1):
                with torch.no_grad():
                    logits[i] += sign * 1e-5
                sides.append(float(loss_of(supernet, batch, relaxation.gates(supernet, STEP, 1))))
                with torch.no_grad():
                    logits[i] -= sign * 1e-5
            assert logits.grad is not None
            expected = (sides[0] - sides[1]) / 2e-5
            assert float(logits.grad[i]) == pytest.approx(expected, rel=1e-4, abs=1e-8)
