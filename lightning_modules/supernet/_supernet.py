"""The supernet: one network whose weights all members of a search space share."""

from __future__ import annotations

import abc
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch import Tensor

from lightning_modules.supernet._gates import Gate
from lightning_modules.supernet._gates import GateBoard
from lightning_modules.supernet._gates import Gates
from optuna_nas import Architecture
from optuna_nas.prior import Prior
from optuna_nas.spaces import Choice
from optuna_nas.spaces import SearchSpace


class Supernet(nn.Module, abc.ABC):
    """The network of a search space in which every decision is a mixed operation.

    It is built by the builders of single networks, so that a path through it computes what the
    single network computes with the same weights. :func:`build_supernet` makes it.

    Args:
        space: The search space.
        network: The skeleton with mixed operations; its parameters are named as in single
            networks, with ``choices`` and the choice put in where there is one.
        choices: The names of the gates, and for each the names of its choices in order.
        board: Where the mixed operations of ``network`` read their gates.
        build: Makes the single network of an architecture.
        num_classes: Number of logits.
    """

    def __init__(
        self,
        space: SearchSpace,
        network: nn.Module,
        choices: Mapping[str, tuple[Choice, ...]],
        board: GateBoard,
        build: Callable[[Architecture], nn.Module],
        num_classes: int,
    ) -> None:
        super().__init__()
        self.space = space
        self.network = network
        self.choices = dict(choices)
        self.mixable = frozenset(choices)
        """Gates of which several choices can be active at once; the others take one."""
        self.partial_channels = 1
        """The K of :class:`MixedOperation`."""
        self.gate_groups: tuple[tuple[str, ...], ...] = ()
        """For each node of a cell, the gates of the edges that enter it."""
        self.absent: Mapping[str, int] = {}
        """For gates of edges that need not be in an architecture: the choice that says so."""
        self.arguments: dict[str, Any] = {}
        """The arguments with which :func:`build_supernet` made it."""
        self.build = build
        self.num_classes = num_classes
        self._board = board

    def forward(self, images: Tensor, gates: Gates) -> Tensor:
        """Map images (batch, channels, height, width) to logits (batch, num_classes).

        Args:
            images: The images.
            gates: A gate for each name of :attr:`choices`.
        """
        self._board.gates = gates
        try:
            logits: Tensor = self.network(images)
        finally:
            self._board.gates = {}
        return logits

    @abc.abstractmethod
    def path(self, architecture: Architecture) -> dict[str, Gate]:
        """Return the gates that make the supernet compute one architecture.

        Raises:
            ValueError: If ``architecture`` is no member of the space.
        """

    @abc.abstractmethod
    def inherited_state(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return what a single network takes over, by the names of its own state.

        The tensors are views of the supernet's. Normalisation without learned weights leaves its
        weights out: those of a new network, 1 and 0, compute the same.
        """

    def require_whole_channels(self) -> None:
        """Raise a ValueError if the operations are not those of single networks."""
        if self.partial_channels > 1:
            raise ValueError(
                "Expected a supernet with `partial_channels=1`, whose operations are those of "
                f"single networks, but got one with {self.partial_channels}."
            )

    def decision_probabilities(self, gates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn probabilities of the gates' choices into those of the decisions' choices.

        Args:
            gates: For each gate probabilities of shape (number of choices,). Gradients are kept.

        Returns:
            For each decision that the gates say something about, its choices' probabilities.
        """
        return dict(gates)

    def derive(self, gates: Mapping[str, Tensor]) -> Architecture:
        """Return the architecture that probabilities of the gates' choices stand for."""
        return self.prior(gates, floor=0).most_likely()

    def prior(self, gates: Mapping[str, Tensor], *, floor: float = 0.1) -> Prior:
        """Return the probabilities of the gates' choices as a prior of the space's decisions."""
        probabilities = {
            name: values.detach().double().cpu().numpy()
            for name, values in self.decision_probabilities(gates).items()
        }
        return Prior(self.space, probabilities, floor=floor)

    def network_of(self, architecture: Architecture) -> nn.Module:
        """Return a new single network that starts from the supernet's weights."""
        network = self.build(architecture).to(next(self.parameters()).device)
        inherit_weights(network, self, architecture)
        return network


def inherit_weights(network: nn.Module, supernet: Supernet, architecture: Architecture) -> None:
    """Copy the weights of one architecture from a supernet into its single network, by name.

    Args:
        network: The single network, built with the same sizes.
        supernet: The supernet.
        architecture: The architecture of ``network``.

    Raises:
        ValueError: If the network has a weight, other than those of normalisation, that the
            supernet does not hold in that shape.
    """
    own: dict[str, Any] = network.state_dict()
    found = supernet.inherited_state(architecture)
    norms = {
        f"{name}.{part}"
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for part in ("weight", "bias")
    }
    for name, tensor in own.items():
        given = found.get(name)
        if given is None and name in norms:
            continue
        if given is None or given.shape != tensor.shape:
            came = "none" if given is None else f"one of shape {tuple(given.shape)}"
            raise ValueError(
                f"Expected the supernet to hold a weight `{name}` of shape "
                f"{tuple(tensor.shape)} but got {came}."
            )
    network.load_state_dict({k: v for k, v in found.items() if k in own}, strict=False)
