"""Mixed operations, and the gates that say which of their choices are computed."""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import NamedTuple

import torch
from torch import nn
from torch import Tensor


class Gate(NamedTuple):
    """Which choices of a mixed operation are computed, and with which weights.

    With one active choice and no weights it is that choice, to the last bit.
    """

    active: tuple[int, ...]
    """Indices of the choices that are computed; none of them makes zeros."""
    weights: Tensor | None = None
    """What each active choice is multiplied with, of shape (number of active choices,)."""
    scale: Tensor | None = None
    """What the sum is multiplied with, a scalar; the edge weight of PC-DARTS."""


_CHOICE = re.compile(r"(.+)\.choices\.([^.]+)\.(.+)")

Gates = Mapping[str, Gate]
"""A gate for each mixed operation by its name; cells that share a name share the gate."""


class GateBoard:
    """Holds the gates of the forward pass that is under way, for all parts of one supernet."""

    def __init__(self) -> None:
        self.gates: Gates = {}


class MixedOperation(nn.Module):
    """The weighted sum of candidate operations (Liu et al., ICLR 2019, section 2.2, equation 2).

    Choices that are not active are not computed, nor are those that make zeros.

    With ``partial_channels`` K > 1 the choices see one of K channels and the others are left
    alone, max-pooled if there is a stride (PC-DARTS, Xu et al., ICLR 2020, section 3.2). These are
    always the first; a channel shuffle (Zhang et al., ShuffleNet, CVPR 2018, section 3.1) brings
    others to their place in the next operation.

    Args:
        name: Name of its gate.
        choices: The candidate operations by name, in the order of the gate's indices; they keep
            the number of channels, :func:`chosen_channels` of those of the input.
        board: Where the gates are.
        partial_channels: The K of the paper.
        stride: The stride of the choices.
    """

    def __init__(
        self,
        name: str,
        choices: Mapping[str, nn.Module],
        board: GateBoard,
        *,
        partial_channels: int = 1,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.name = name
        self.choices = nn.ModuleDict(choices)
        self.partial_channels = partial_channels
        self.stride = stride
        self._board = board

    def is_zero(self) -> bool:
        """Return whether the gate lets nothing through, so that the output is zeros."""
        active = self._board.gates[self.name].active
        if self.partial_channels > 1 and active:
            return False
        operations = list(self.choices.values())
        return all(makes_zeros(operations[index]) for index in active)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to (batch, channels, h/s, w/s)."""
        gate = self._board.gates[self.name]
        if self.partial_channels == 1 or not gate.active:
            mixed = self._mix(x, gate)
        else:
            n = x.shape[1] // self.partial_channels
            rest = x[:, n:]
            if self.stride > 1:
                rest = nn.functional.max_pool2d(rest, self.stride, ceil_mode=True)
            mixed = torch.cat([self._mix(x[:, :n], gate), rest], dim=1)
            mixed = nn.functional.channel_shuffle(mixed, self.partial_channels)
        return mixed if gate.scale is None else mixed * gate.scale

    def _mix(self, x: Tensor, gate: Gate) -> Tensor:
        operations = list(self.choices.values())
        total: Tensor | None = None
        for position, index in enumerate(gate.active):
            if makes_zeros(operations[index]):
                continue
            term = operations[index](x)
            if gate.weights is not None:
                term = term * gate.weights[position].to(term.dtype)
            total = term if total is None else total + term
        return x[:, :, :: self.stride, :: self.stride] * 0.0 if total is None else total


def makes_zeros(operation: nn.Module) -> bool:
    """Tell whether an operation says by its attribute ``makes_zeros`` that it need not be run."""
    return bool(getattr(operation, "makes_zeros", False))


def chosen_state(network: nn.Module, chosen: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the state of a network with mixed operations as of the single one of some choices.

    Args:
        network: The network.
        chosen: The name of the choice at each gate; a gate without an entry has none.
    """
    state: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        match = _CHOICE.fullmatch(name)
        if match is None:
            state[name] = tensor
        elif chosen.get(str(network.get_submodule(match[1]).name)) == match[2]:
            state[f"{match[1]}.{match[3]}"] = tensor
    return state


def chosen_channels(channels: int, partial_channels: int) -> int:
    """Return the channels that pass through the choices.

    Raises:
        ValueError: If ``partial_channels`` is less than 1 or does not divide ``channels``.
    """
    if partial_channels < 1 or channels % partial_channels:
        raise ValueError(
            f"Expected argument `partial_channels` to divide the {channels} channels of a cell "
            f"but got {partial_channels}."
        )
    return channels // partial_channels
