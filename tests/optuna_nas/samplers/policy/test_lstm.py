"""The LSTM cell against torch's."""

from __future__ import annotations

import numpy as np
import torch

from optuna_nas.samplers.policy._lstm import lstm


def test_lstm_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(1)
    t, n, size = 4, 3, 5
    draw = lambda *shape: torch.randn(  # noqa: E731
        *shape, generator=generator, dtype=torch.float64
    ).requires_grad_()
    inputs, weight, recurrent = draw(t, n, size), draw(4 * size, size), draw(4 * size, size)
    zeros = torch.zeros(1, n, size, dtype=torch.float64)
    bias = torch.zeros(4 * size, dtype=torch.float64)
    # torch has the gates in the order input, forget, candidate, output.
    order = [*range(2 * size), *range(3 * size, 4 * size), *range(2 * size, 3 * size)]
    ours = lstm(inputs @ weight.T, recurrent)
    theirs = torch.lstm(
        inputs,
        (zeros, zeros),
        [weight[order], recurrent[order], bias, bias],
        True,
        1,
        0.0,
        True,
        False,
        False,
    )[0]
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-14)
    goal = torch.randn(t, n, size, generator=generator, dtype=torch.float64)
    leaves = [inputs, weight, recurrent]
    for first, second in zip(
        torch.autograd.grad((ours * goal).sum(), leaves),
        torch.autograd.grad((theirs * goal).sum(), leaves),
        strict=True,
    ):
        np.testing.assert_allclose(first.numpy(), second.numpy(), atol=1e-13)
