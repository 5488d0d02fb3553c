"""Gradient steps with Adam, as pure functions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

import torch
from torch import Tensor


_BETA_1, _BETA_2, _EPSILON = 0.9, 0.99, 1e-8

Tensors = Mapping[str, Tensor]
"""Tensors by name."""


def minimize(
    loss: Callable[[dict[str, Tensor]], Tensor],
    weights: Tensors,
    moments: Tensors,
    *,
    learning_rate: float,
    n_steps: int = 1,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return weights and moments after some steps of gradient descent.

    Args:
        loss: The loss as a function of the weights.
        weights: The weights by name.
        moments: What this function returned before; empty at the start. Rows that were added to a
            weight since then have moments of 0.
        learning_rate: The step size, above 0.
        n_steps: Number of steps.
    """
    theta = _packed(list(weights.values()))
    first = _packed([_grown(moments.get(f"1/{k}"), weight) for k, weight in weights.items()])
    second = _packed([_grown(moments.get(f"2/{k}"), weight) for k, weight in weights.items()])
    t = int(moments["t"]) if "t" in moments else 0
    for _ in range(n_steps):
        leaves = {k: v.detach().requires_grad_() for k, v in _unpacked(theta, weights).items()}
        gradients = torch.autograd.grad(loss(leaves), list(leaves.values()), allow_unused=True)
        gradient = _packed(
            [
                torch.zeros_like(leaf) if g is None else g
                for leaf, g in zip(leaves.values(), gradients, strict=True)
            ]
        )
        t += 1
        theta, first, second = adam_step(theta, gradient, first, second, t, learning_rate)
    new = {
        **{f"1/{k}": v for k, v in _unpacked(first, weights).items()},
        **{f"2/{k}": v for k, v in _unpacked(second, weights).items()},
        "t": torch.full((1,), float(t), dtype=theta.dtype, device="cpu"),
    }
    return _unpacked(theta, weights), new


def adam_step(
    theta: Tensor, gradient: Tensor, first: Tensor, second: Tensor, t: int, learning_rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights, first and second moments after step ``t``, counted from 1.

    Kingma & Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, algorithm 1.
    """
    first = _BETA_1 * first + (1 - _BETA_1) * gradient
    second = _BETA_2 * second + (1 - _BETA_2) * gradient * gradient
    scale = (second / (1 - _BETA_2**t)).sqrt_().add_(_EPSILON)
    return theta - (learning_rate / (1 - _BETA_1**t)) * (first / scale), first, second


def _packed(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _unpacked(vector: Tensor, like: Tensors) -> dict[str, Tensor]:
    parts = torch.split(vector, [tensor.numel() for tensor in like.values()])
    return {
        name: part.view(tensor.shape)
        for (name, tensor), part in zip(like.items(), parts, strict=True)
    }


def _grown(moment: Tensor | None, like: Tensor) -> Tensor:
    if moment is None:
        return torch.zeros_like(like)
    if len(moment) == len(like):
        return moment
    return torch.cat([moment, torch.zeros_like(like[len(moment) :])])
