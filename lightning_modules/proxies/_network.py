"""Calls of a network that leave it as found, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch import Tensor
from torch.utils._pytree import tree_leaves

from lightning_modules.costs.measure import modes_kept
from lightning_modules.tasks import Loss


NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
"""Modules that normalise; of these, the first class is batch and instance normalisation."""


class CalledWeights(dict[str, Tensor]):
    """Copies of a network's parameters and buffers by name, to call it with.

    The copies of all floating point parameters want a gradient, also of frozen ones.

    Args:
        network: Where the values are from.
        dtype: Floating point type of the copies; :obj:`None` keeps it.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.parameters = {
            name: _copy(tensor, dtype).requires_grad_(tensor.is_floating_point())
            for name, tensor in network.named_parameters()
        }
        self.update(self.parameters)
        self.update((name, _copy(tensor, dtype)) for name, tensor in network.named_buffers())

    @property
    def weights(self) -> list[Tensor]:
        """Parameters with at least two dimensions: kernels and matrices, that is, connections."""
        return [
            tensor
            for tensor in self.parameters.values()
            if tensor.ndim >= 2 and tensor.requires_grad
        ]


def _copy(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    tensor = tensor.detach()
    return tensor.to(dtype, copy=True) if tensor.is_floating_point() else tensor.clone()


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Let the network normalise by the batch, as in its first step of training, without dropout.

    Gradients are on, whatever the caller set. The flags are put back at the end.
    """
    with modes_kept(network), torch.inference_mode(False), torch.enable_grad():
        for module in network.modules():
            module.training = isinstance(module, nn.modules.batchnorm._NormBase)
        yield


@contextmanager
def hooked(
    network: nn.Module, types: tuple[type[nn.Module], ...], hook: Callable[..., Tensor | None]
) -> Iterator[None]:
    """Call ``hook(module, arguments, output)`` after each call of a module of these types."""
    handles = [
        module.register_forward_hook(hook)
        for module in network.modules()
        if isinstance(module, types)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def bypassed(network: nn.Module, types: tuple[type[nn.Module], ...]) -> Iterator[None]:
    """Let modules of these types return their input."""
    # An attribute of the instance comes before the method of its class.
    found = {
        module: vars(module).get("forward")
        for module in network.modules()
        if isinstance(module, types)
    }
    for module in found:
        vars(module)["forward"] = _identity
    try:
        yield
    finally:
        for module, forward in found.items():
            del vars(module)["forward"]
            if forward is not None:
                vars(module)["forward"] = forward


def _identity(x: Tensor) -> Tensor:
    return x


def call(network: nn.Module, weights: CalledWeights, inputs: Any) -> Any:
    """Return the output for ``inputs`` with these parameters and buffers."""
    return torch.func.functional_call(network, weights, (inputs,))


def batch_loss(
    network: nn.Module, weights: CalledWeights, inputs: Any, targets: Any, loss: Loss
) -> Tensor:
    """Return the mean loss of the batch, a scalar.

    Raises:
        ValueError: If ``loss`` returns something else.
    """
    value: object = loss(call(network, weights, inputs), targets)
    if not isinstance(value, Tensor) or value.ndim:
        came = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else value
        raise ValueError(f"Expected argument `loss` to return a scalar tensor but got {came!s}.")
    return value


def summed(output: Any) -> Tensor:
    """Return the sum of all that a network returned."""
    sums: list[Tensor] = [leaf.sum() for leaf in tree_leaves(output)]
    return sum(sums[1:], start=sums[0])


def gradients(value: Tensor, of: list[Tensor], *, create_graph: bool = False) -> list[Tensor]:
    """Return the gradients of a scalar; zeros for a tensor that it does not depend on."""
    if not value.requires_grad or not of:
        return [torch.zeros_like(tensor) for tensor in of]
    found = torch.autograd.grad(
        value, of, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return list(found)
