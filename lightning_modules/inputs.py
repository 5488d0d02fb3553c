"""Inputs of a network, made of one sample: a shape, or a tensor, tuple or dict of tensors."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
import inspect
from typing import Any

from lightning_utilities.core.apply_func import apply_to_collection
import torch
from torch import nn
from torch import Tensor

from lightning_modules._checks import check_positive


@dataclass(frozen=True, eq=False)
class Inputs:
    """A batch of a network's inputs: what it is called with.

    Args:
        args: Positional arguments: tensors, or tuples and dicts of them; the first axis of each
            tensor is the batch.
        kwargs: Arguments by name.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors."""
        found: list[Tensor] = []

        def keep(tensor: Tensor) -> Tensor:
            found.append(tensor)
            return tensor

        self.map(keep)
        return found

    def map(self, change: Callable[[Tensor], Tensor]) -> Inputs:
        """Return inputs in which each tensor is changed."""
        args = apply_to_collection(self.args, Tensor, change)
        return Inputs(tuple(args), apply_to_collection(dict(self.kwargs), Tensor, change))

    def call(self, network: Callable[..., Any]) -> Any:
        """Return what a network makes of the inputs."""
        return network(*self.args, **self.kwargs)


Sample = Sequence[int] | Inputs
"""One sample: its shape, e.g. (channels, height, width), for a network of one floating point
tensor; or inputs whose batch has one sample."""


def make_inputs(
    network: nn.Module, sample: Sample, batch_size: int, *, device: torch.device | None = None
) -> Inputs:
    """Return a batch, always the same, on a network's device.

    Args:
        network: The network, whose floating point type a shape gets.
        sample: A shape is filled with normal random numbers; another sample is repeated.
        batch_size: Number of samples.
        device: Another device, e.g. the meta device, which holds shapes and no values.

    Raises:
        ValueError: If ``batch_size`` is less than 1.
    """
    check_positive("batch_size", batch_size)
    device = device or device_of(network)
    if isinstance(sample, Inputs):
        return sample.map(lambda t: t[:1].to(device).expand(batch_size, *t.shape[1:]).contiguous())
    dtype = _dtype(network)
    if device.type == "meta":
        return Inputs((torch.empty(batch_size, *sample, dtype=dtype, device=device),))
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(batch_size, *sample, generator=generator)
    return Inputs((values.to(device=device, dtype=dtype),))


def inputs_of(module: nn.Module, batch: Any) -> Inputs:
    """Return the inputs of a module in a batch of a data loader.

    Lightning's ``example_input_array`` comes first, if the module has one. A batch that is a list
    or tuple begins with the inputs; of a dict, those entries that ``forward`` has arguments for
    are the inputs, all of them if it takes any; anything else is the input itself.

    Args:
        module: The module.
        batch: The batch.
    """
    example = getattr(module, "example_input_array", None)
    if example is not None:
        if isinstance(example, Mapping):
            return Inputs((), dict(example))
        return Inputs(tuple(example) if isinstance(example, tuple | list) else (example,))
    if isinstance(batch, list | tuple):
        return Inputs((batch[0],))
    if isinstance(batch, Mapping):
        known = inspect.signature(module.forward).parameters
        named = {name: value for name, value in batch.items() if name in known}
        if any(parameter.kind == parameter.VAR_KEYWORD for parameter in known.values()):
            named = dict(batch) if named or len(known) == 1 else {}
        return Inputs((), named) if named else Inputs((batch,))
    return Inputs((batch,))


def device_of(network: nn.Module) -> torch.device:
    """Return the device of a network's parameters; the CPU if it has none."""
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def _dtype(network: nn.Module) -> torch.dtype:
    parameter = next((p for p in network.parameters() if p.is_floating_point()), None)
    return torch.float32 if parameter is None else parameter.dtype
