"""The supernet: one network whose weights all members of a search space share."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch import Tensor

from lightning_modules.backbone import Backbone
from lightning_modules.backbone import Build
from lightning_modules.backbone import FeatureVector
from lightning_modules.backbone import Network
from lightning_modules.supernet._gates import Gate
from lightning_modules.supernet._gates import GateBoard
from lightning_modules.supernet._gates import Gates
from lightning_modules.tasks import Task
from optuna_nas import Architecture
from optuna_nas.prior import Prior
from optuna_nas.spaces import Choice
from optuna_nas.spaces import SearchSpace


class Supernet(nn.Module, abc.ABC):
    """The network of a search space in which every decision is a mixed operation.

    It is built of the same modules as single networks, so that a path through it computes what the
    single network computes with the same weights. :func:`build_supernet` makes it.

    Args:
        space: The search space.
        network: The backbone with mixed operations, to which the task adds its head, or a whole
            network; its parameters are named as in single networks, with ``choices`` and the
            choice put in where there is one.
        choices: The names of the gates, and for each the names of its choices in order.
        board: Where the mixed operations of ``network`` read their gates.
        build: Makes the backbone, or the whole network, of an architecture.
        task: It brings the head and the loss.

    Raises:
        ValueError: If the head reads feature maps and the backbone has none.
    """

    def __init__(
        self,
        space: SearchSpace,
        network: nn.Module,
        choices: Mapping[str, tuple[Choice, ...]],
        board: GateBoard,
        build: Build,
        task: Task,
    ) -> None:
        super().__init__()
        if task.reads_maps and isinstance(network, Backbone) and not network.maps:
            raise ValueError(
                "Expected argument `task` to have a head that reads the feature vector, as the "
                f"feature maps of search space `{space.name}` depend on the path, but got {task}."
            )
        self.space = space
        self.task = task
        self.network = task.network(network)
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
        """The shape and sizes with which :func:`build_supernet` made it."""
        self.build = task.builder(build)
        """Makes the single network of an architecture."""
        self._board = board

    def forward(self, inputs: Tensor, gates: Gates) -> Tensor:
        """Map inputs (batch, ...) to the output that the task's loss takes.

        Args:
            inputs: The inputs, e.g. images (batch, channels, height, width).
            gates: A gate for each name of :attr:`choices`.
        """
        self._board.gates = gates
        try:
            output: Tensor = self.network(inputs)
        finally:
            self._board.gates = {}
        return output

    def loss(self, inputs: Tensor, targets: Any, gates: Gates) -> Tensor:
        """Return the task's mean loss of a batch, a scalar."""
        return self.task.loss(self(inputs, gates), targets)

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

    def inherited_head(self, columns: slice) -> dict[str, Tensor]:
        """Return the state of the head, by the names of a single network's state.

        Args:
            columns: Where the features of a single backbone stand in the supernet's; the others
                are zero on its path.

        Raises:
            ValueError: If the head has a weight, other than its first layers', whose shape depends
                on the number of features.
        """
        assert isinstance(self.network, Network)
        n = self.network.backbone.n_features
        with torch.device("meta"):
            own = self.task.head(FeatureVector(len(range(n)[columns]))).state_dict()
        state: dict[str, Tensor] = {}
        for name, tensor in self.network.head.state_dict().items():
            if tensor.ndim > 1 and tensor.shape[1] == n and own[name].shape != tensor.shape:
                tensor = tensor[:, columns]
            if own[name].shape != tensor.shape:
                raise ValueError(
                    "Expected the head of a supernet to read the features with the second axis of "
                    f"weights alone but got `{name}` of shapes {tuple(tensor.shape)} and "
                    f"{tuple(own[name].shape)}."
                )
            state[f"head.{name}"] = tensor
        return state

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
