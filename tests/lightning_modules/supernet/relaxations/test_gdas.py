"""GDAS: the sampled path and its gradient, against references by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.supernet import Gate
from lightning_modules.supernet.relaxations import Gdas
from lightning_modules.supernet.relaxations import Step
from tests.lightning_modules.supernet.relaxations.small_cells import gumbel_weights
from tests.lightning_modules.supernet.relaxations.small_cells import loss_of
from tests.lightning_modules.supernet.relaxations.small_cells import make
from tests.lightning_modules.supernet.relaxations.small_cells import make_batch
from tests.lightning_modules.supernet.relaxations.small_cells import STEP


def test_one_choice_of_a_step_is_that_of_the_largest_noisy_logit() -> None:
    supernet, relaxation = make(Gdas)
    for purpose in (0, 1):
        expected = gumbel_weights(relaxation, 10 - 9.9 * 0.5, purpose)
        for name, gate in relaxation.gates(supernet, STEP, purpose).items():
            assert gate.active == (int(expected[name].argmax()),)
            assert gate.weights is not None
            assert gate.weights.tolist() == [1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_value_is_that_of_the_sampled_path_to_the_last_bit(dtype: torch.dtype) -> None:
    supernet, relaxation = make(Gdas)
    supernet, relaxation, images = (
        supernet.to(dtype),
        relaxation.to(dtype),
        make_batch()[0].to(dtype),
    )
    for number in range(30):
        gates = relaxation.gates(supernet, Step(number, number / 30, 0.1), 1)
        path = {name: Gate(gate.active) for name, gate in gates.items()}
        assert torch.equal(supernet(images, gates), supernet(images, path))


def test_choices_are_as_frequent_as_their_probabilities() -> None:
    supernet, relaxation = make(Gdas)
    n, counts = 3000, {name: np.zeros(5) for name in supernet.choices}
    for number in range(n):
        for name, gate in relaxation.gates(supernet, Step(number, 0.0, 0.1), 0).items():
            counts[name][gate.active[0]] += 1
    for name, p in relaxation.probabilities().items():
        expected = p.detach().numpy()
        error = np.sqrt(expected * (1 - expected) / n)
        assert (np.abs(counts[name] / n - expected) < 4.5 * error).all()


def test_the_gradient_is_that_of_the_softmax() -> None:
    """dL/dlogit_j = dL/dw_i * w_i (delta_ij - w_j) / tau for the sampled choice i."""
    supernet, relaxation = make(Gdas)
    batch, temperature = make_batch(), 10 - 9.9 * 0.5
    relaxation.architecture_step(supernet, batch, make_batch(2), STEP, Tensor.backward)
    soft = gumbel_weights(relaxation, temperature, 1)
    chosen = {name: int(weights.argmax()) for name, weights in soft.items()}

    def loss(name: str, weight: float) -> float:
        gates = {
            n: Gate((i,), torch.tensor([weight if n == name else 1.0], dtype=torch.float64))
            for n, i in chosen.items()
        }
        return float(loss_of(supernet, batch, gates).detach())

    largest = 0.0
    for name, logits in relaxation.logits.items():
        slope = (loss(name, 1 + 1e-5) - loss(name, 1 - 1e-5)) / 2e-5
        w, i = soft[name], chosen[name]
        expected = slope * w[i] * ((np.arange(5) == i) - w) / temperature
        assert logits.grad is not None
        np.testing.assert_allclose(logits.grad.numpy(), expected, rtol=1e-5, atol=1e-9)
        largest = max(largest, float(np.abs(expected).max()))
    assert largest > 1e-4


def test_temperatures_fall_linearly() -> None:
    _, relaxation = make(Gdas)
    assert isinstance(relaxation, Gdas)
    found = [relaxation.temperature(progress) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx([10.0, 7.525, 5.05, 0.1])
    own = Gdas(make(Gdas)[0], temperatures=(4.0, 2.0))
    assert own.temperature(0.5) == pytest.approx(3.0)
