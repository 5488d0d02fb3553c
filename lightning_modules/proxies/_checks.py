"""Checks of the inputs and the value of a proxy."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils._pytree import tree_map


def checked_inputs(inputs: Any) -> Any:
    """Return a copy of the inputs that gradients can be taken with.

    Args:
        inputs: A tensor (batch, ...), or tuples, lists or dicts of tensors.

    Raises:
        ValueError: If they are not the tensors of at least two samples, or not finite.
    """
    leaves = tree_leaves(inputs)
    if not leaves or not all(isinstance(leaf, Tensor) and leaf.ndim > 0 for leaf in leaves):
        raise ValueError(
            "Expected argument `inputs` to be a tensor of shape (batch, ...), or tuples or dicts "
            f"of such, but got {inputs!r}."
        )
    for leaf in leaves:
        if len(leaf) < 2 or leaf.numel() == 0:
            raise ValueError(
                "Expected argument `inputs` to be at least 2 samples with values "
                f"but got the shape {tuple(leaf.shape)}."
            )
        if not leaf.isfinite().all():
            raise ValueError("Expected argument `inputs` to be finite but got NaN or infinity.")
    return copied(inputs)


def copied(values: Any) -> Any:
    """Return a copy of all tensors without gradients, also of those of inference mode."""
    with torch.inference_mode(False):
        return tree_map(_copy, values)


def _copy(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    if value.ndim == 4 and value.is_floating_point():
        # Twice as fast on the CPU as the ordinary order.
        return value.detach().clone(memory_format=torch.channels_last)
    return value.detach().clone()


def floating(name: str, inputs: Any) -> list[Tensor]:
    """Return the tensors of the inputs.

    Raises:
        ValueError: If one is not of floating point type, as the proxy ``name`` needs it.
    """
    leaves: list[Tensor] = tree_leaves(inputs)
    for leaf in leaves:
        if not leaf.is_floating_point():
            raise ValueError(
                f"Expected argument `inputs` to be of floating point type for the proxy {name} "
                f"but got {leaf.dtype}."
            )
    return leaves


def batch_size(inputs: Any) -> int:
    """Return the number of samples."""
    return len(tree_leaves(inputs)[0])


def checked_score(name: str, value: float) -> float:
    """Return the value if it is a finite number or minus infinity, the worst of all scores.

    Raises:
        RuntimeError: If it is NaN or infinity.
    """
    if value < float("inf"):
        return value
    raise RuntimeError(
        f"The proxy {name} of the network is {value}: its values are beyond what the "
        "floating point type holds, or its parameters are not finite."
    )
