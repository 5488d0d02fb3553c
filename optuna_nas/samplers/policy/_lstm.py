"""An LSTM cell in NumPy, and a whole sequence of steps as one differentiable function of PyTorch.

The sequences are short and the layers small: the bookkeeping of autograd for each step would take
several times as long as the numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def cell(gates: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the activated gates, the next cell state and its hyperbolic tangent.

    ``c' = f c + i g`` with the gates in the order input ``i``, forget ``f``, output ``o`` (all
    sigmoid) and candidate ``g`` (tanh); the output of the cell is ``o tanh(c')``. Hochreiter &
    Schmidhuber, Long short-term memory, 1997; Gers et al., Learning to forget, 2000.

    Args:
        gates: The four sums before the activation, shape ``(n, 4 * size)``.
        state: The cell state ``c``, shape ``(n, size)``.
    """
    size = state.shape[1]
    activated = gates.copy()
    activated[:, : 3 * size] *= 0.5
    np.tanh(activated, out=activated)
    activated[:, : 3 * size] = 0.5 * activated[:, : 3 * size] + 0.5  # sigmoid(x)
    i, f, _, g = split(activated)
    following = f * state + i * g
    return activated, following, np.tanh(following)


def split(gates: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return views of the four gates."""
    size = gates.shape[-1] // 4
    return tuple(gates[..., k * size : (k + 1) * size] for k in range(4))


class _Lstm(torch.autograd.Function):
    """Backpropagation through time, written out."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, recurrent: Tensor) -> Tensor:
        gates, weight = inputs.detach().numpy(), recurrent.detach().numpy()
        (t, n, _), size = gates.shape, weight.shape[1]
        activated, tanh = np.empty_like(gates), np.empty((t, n, size))
        states, outputs = np.zeros((t + 1, n, size)), np.zeros((t + 1, n, size))
        for k in range(t):
            sums = gates[k] + outputs[k] @ weight.T
            activated[k], states[k + 1], tanh[k] = cell(sums, states[k])
            np.multiply(split(activated[k])[2], tanh[k], out=outputs[k + 1])
        ctx.kept = activated, states, tanh, outputs, weight
        return torch.from_numpy(outputs[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, Tensor]:
        activated, states, tanh, outputs, weight = ctx.kept
        d_outputs = gradients[0].numpy()
        i, f, o, g = split(activated)
        # Derivatives of c' and of the output with respect to the four sums, for all steps.
        by_sum = np.concatenate(
            [g * i * (1 - i), states[:-1] * f * (1 - f), tanh * o * (1 - o), i * (1 - g * g)], -1
        )
        output_by_state = o * (1 - tanh * tanh)
        d_gates = np.empty_like(activated)
        d_output, d_state = np.zeros_like(states[0]), np.zeros_like(states[0])
        for k in reversed(range(len(activated))):
            d_output = d_output + d_outputs[k]
            d_state = d_state + d_output * output_by_state[k]
            upstream = np.concatenate([d_state, d_state, d_output, d_state], -1)
            np.multiply(upstream, by_sum[k], out=d_gates[k])
            d_output, d_state = d_gates[k] @ weight, d_state * f[k]
        flat = d_gates.reshape(-1, weight.shape[0])
        d_weight = flat.T @ outputs[:-1].reshape(-1, weight.shape[1])
        return torch.from_numpy(d_gates), torch.from_numpy(d_weight)


def lstm(inputs: Tensor, recurrent: Tensor) -> Tensor:
    """Return the outputs of an LSTM that starts at zero.

    Args:
        inputs: What the inputs and the bias add to the gates, float64 of shape
            ``(t, n, 4 * size)``.
        recurrent: Weights of the output before, float64 of shape ``(4 * size, size)``.

    Returns:
        Shape ``(t, n, size)``; it is differentiable once.
    """
    outputs: Tensor = _Lstm.apply(inputs, recurrent)  # type: ignore[no-untyped-call]
    return outputs
