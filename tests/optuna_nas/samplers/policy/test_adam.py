"""Adam against torch's, and its state from call to call."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from optuna_nas.samplers.policy._adam import adam_step
from optuna_nas.samplers.policy._adam import minimize


def tensor(*values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_adam_is_that_of_torch() -> None:
    theta = tensor(1.0, -2.0, 0.5).requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=0.1, betas=(0.9, 0.99), eps=1e-8)
    ours, first, second = theta.detach().clone(), torch.zeros(3), torch.zeros(3)
    for t in range(1, 6):
        theta.grad = torch.sin(theta.detach() * t)
        ours, first, second = adam_step(ours, torch.sin(ours * t), first, second, t, 0.1)
        optimizer.step()
        np.testing.assert_allclose(ours.numpy(), theta.detach().numpy(), rtol=1e-12)


def test_steps_in_parts_are_the_same_steps_and_new_rows_start_at_rest() -> None:
    loss = lambda weights: (weights["a"] ** 4).sum() + weights["b"].sum() ** 2  # noqa: E731
    weights = {"a": tensor(1.0, 2.0), "b": tensor([3.0], [4.0]), "unused": tensor(5.0)}
    whole, _ = minimize(loss, weights, {}, learning_rate=0.1, n_steps=4)
    half, moments = minimize(loss, weights, {}, learning_rate=0.1, n_steps=2)
    rest, _ = minimize(loss, half, moments, learning_rate=0.1, n_steps=2)
    for name, value in whole.items():
        np.testing.assert_allclose(rest[name].numpy(), value.numpy(), rtol=1e-14)
    assert whole["unused"].item() == 5.0
    grown = {**half, "a": torch.cat([half["a"], tensor(0.0)])}
    after, _ = minimize(loss, grown, moments, learning_rate=0.1)
    assert after["a"][2].item() == 0.0
