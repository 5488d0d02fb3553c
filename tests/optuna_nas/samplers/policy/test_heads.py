"""The distributions of choices: densities, draws and entropies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from optuna_nas.samplers.policy._heads import categorical
from optuna_nas.samplers.policy._heads import draw_choices
from optuna_nas.samplers.policy._heads import draw_numbers
from optuna_nas.samplers.policy._heads import flat_gaussian
from optuna_nas.samplers.policy._heads import squashed_gaussian


def test_squashed_gaussian_is_a_density_on_the_unit_interval() -> None:
    n = 20_000
    number = torch.from_numpy((np.arange(n) + 0.5) / n)
    for outputs in ([0.0, 0.0], [1.0, 2.0], flat_gaussian()):
        parameters = torch.tensor(np.asarray(outputs)).expand(n, 2)
        log_density, entropy = squashed_gaussian(parameters, number)
        assert log_density.exp().mean().item() == pytest.approx(1, abs=1e-4)
        drawn = draw_numbers(parameters, np.random.default_rng(0))
        mean = (log_density.exp() * number).mean().item()
        assert drawn.mean() == pytest.approx(mean, abs=0.01)
        assert entropy[0].isfinite()
    flat = log_density.exp()[n // 10 : -n // 10]  # Of the last outputs above.
    assert flat.min() > 0.7
    assert flat.max() < 1.3


def test_choices_are_drawn_with_their_probabilities() -> None:
    log_probs = np.log(np.tile([0.5, 0.2, 0.3], (6000, 1)))
    rng = np.random.default_rng(0)
    shares = np.bincount(draw_choices(log_probs, rng)) / 6000
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=0.02)
    allowed = np.array([False, True, True])
    shares = np.bincount(draw_choices(log_probs, rng, allowed)) / 6000
    np.testing.assert_allclose(shares, [0, 0.4, 0.6], atol=0.02)
    hopeless = np.array([[0.0, -np.inf, -np.inf]])
    assert draw_choices(hopeless, rng, allowed)[0] in (1, 2)


def test_categorical_ignores_choices_that_are_not_there() -> None:
    scores = torch.tensor([[0.0, math.log(3.0), -math.inf]]).double().requires_grad_()
    log_prob, entropy = categorical(scores, torch.tensor([1]))
    assert log_prob.item() == pytest.approx(math.log(0.75))
    assert entropy.item() == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    (found,) = torch.autograd.grad(log_prob.sum() + entropy.sum(), [scores])
    assert found.isfinite().all()
