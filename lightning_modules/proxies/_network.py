"""What all proxies share: checked batches, and calls that leave the network as found."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.costs.measure import modes_kept


NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
"""Modules that normalise; of these, the first class is batch and instance normalisation."""


class State(dict[str, Tensor]):
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


def call(network: nn.Module, state: State, images: Tensor) -> Tensor:
    """Return the output for ``images`` with the values of ``state``."""
    output: Tensor = torch.func.functional_call(network, state, (images,))
    return output


def loss(network: nn.Module, state: State, images: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of the batch, in nats.

    Raises:
        ValueError: If the output is not (batch, classes) or a label is no class.
    """
    logits = call(network, state, images)
    if logits.ndim != 2 or len(logits) != len(labels):
        raise ValueError(
            "Expected argument `network` to return logits of shape (batch, classes) "
            f"but got the shape {tuple(logits.shape)}."
        )
    low, high = (int(value) for value in labels.aminmax())
    if low < 0 or high >= logits.shape[1]:
        raise ValueError(
            f"Expected argument `labels` to be in [0, {logits.shape[1] - 1}] "
            f"but got labels from {low} to {high}."
        )
    return F.cross_entropy(logits, labels)


def gradients(value: Tensor, of: list[Tensor], *, create_graph: bool = False) -> list[Tensor]:
    """Return the gradients of a scalar; zeros for a tensor that it does not depend on."""
    if not value.requires_grad or not of:
        return [torch.zeros_like(tensor) for tensor in of]
    found = torch.autograd.grad(
        value, of, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return list(found)


def checked_images(images: Tensor) -> Tensor:
    """Return a copy of the images that gradients can be taken with.

    Raises:
        ValueError: If they are not at least two finite images of floating point type.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            "Expected argument `images` to be a floating point tensor of shape "
            f"(batch, channels, height, width) but got {_describe(images)}."
        )
    if len(images) < 2 or images.numel() == 0:
        raise ValueError(
            "Expected argument `images` to be at least 2 images with pixels "
            f"but got the shape {tuple(images.shape)}."
        )
    if not images.isfinite().all():
        raise ValueError("Expected argument `images` to be finite but got NaN or infinity.")
    with torch.inference_mode(False):
        # Twice as fast on the CPU as the ordinary order.
        return images.detach().clone(memory_format=torch.channels_last)


def checked_batch(images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return copies of images and labels.

    Raises:
        ValueError: If the images are not those of :func:`checked_images`, or the labels not one
            integer for each.
    """
    images = checked_images(images)
    if (
        not isinstance(labels, Tensor)
        or labels.shape != images.shape[:1]
        or labels.dtype != torch.int64
    ):
        raise ValueError(
            f"Expected argument `labels` to be an int64 tensor of shape ({len(images)},), one for "
            f"each image, but got {_describe(labels)}."
        )
    with torch.inference_mode(False):
        return images, labels.detach().clone()


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


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
    return repr(value)
