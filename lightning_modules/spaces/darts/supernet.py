"""The supernet of normal and reduction cells: a mixed operation on every possible edge."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn
from torch import Tensor

from lightning_modules.spaces.darts.network import build_darts_backbone
from lightning_modules.spaces.darts.network import DartsBackbone
from lightning_modules.spaces.darts.network import MakeEdges
from lightning_modules.spaces.darts.operations import CELL_OPERATIONS
from lightning_modules.spaces.darts.supernet_decisions import node_decisions
from lightning_modules.spaces.darts.supernet_decisions import NONE
from lightning_modules.supernet._gates import chosen_channels
from lightning_modules.supernet._gates import chosen_state
from lightning_modules.supernet._gates import Gate
from lightning_modules.supernet._gates import GateBoard
from lightning_modules.supernet._gates import MixedOperation
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.tasks import Task
from optuna_nas import Architecture
from optuna_nas.spaces import Choice
from optuna_nas.spaces import choices_of
from optuna_nas.spaces import SearchSpace


class DartsSupernet(Supernet):
    r"""The supernet of a :class:`~optuna_nas.DartsSpace` that joins all nodes.

    There is a mixed operation on every edge from an earlier node to a node (Liu et al., ICLR 2019,
    section 2.1), and a second one where the space lets a node take the same input twice. The gates
    ``normal_edge_i_j``, ``normal_edge_i_j_b`` for a second edge, and ``reduce_...`` are those of
    all cells of a kind; each cell has weights of its own. ``none`` stands for an edge that is not
    chosen, so that edges which need not be have it even if no decision does.

    The decisions are not the gates. With :math:`p_e(o)` the probability of operation o on edge e,
    the strength of an edge is :math:`s_e = \max_{o \neq none} p_e(o)` (section 2.4), and
    :meth:`decision_probabilities` are

    - of a pair of inputs with the edges e and f, proportional to :math:`s_e s_f`;
    - of an operation, :math:`p_e(o) / \sum_{o' \neq none} p_e(o')`, averaged over the pairs;
      that of ``none`` is 0 unless there is no other choice.

    :meth:`derive` is the published rule: the two strongest edges of each node, and the strongest
    operation other than ``none`` on each. Of the pairs that a sub-space has left it is the one of
    the largest product of strengths.

    Args:
        space: The search space, or a sub-space of it.
        task: It brings the head and the loss.
        input_shape: (channels, height, width) of an image.
        channels: Channels of a node in the first cells.
        cells: Number of cells.
        affine: Whether the operations' normalisation has learned weights; see
            :class:`CellSupernet`.
        partial_channels: With K > 1 only every K-th channel passes through the operations
            (PC-DARTS, Xu et al., ICLR 2020, section 3.2); such a supernet leaves no weights to
            single networks.

    Raises:
        ValueError: If the space joins the loose nodes, has an unknown operation, or a number is
            out of range.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task,
        *,
        input_shape: tuple[int, int, int],
        channels: int = 16,
        cells: int = 8,
        affine: bool = True,
        partial_channels: int = 1,
    ) -> None:
        _check_space(space)
        nodes = node_decisions(space.distributions)
        choices = {edge: ops for node in nodes for edge, ops in node.edges.items()}
        board = GateBoard()
        sizes: dict[str, Any] = {
            "input_shape": input_shape,
            "channels": channels,
            "cells": cells,
        }
        joined = range(2, 2 + len(nodes) // 2)
        backbone = DartsBackbone(
            _edge_maker(choices, board, affine, partial_channels),
            {"normal": joined, "reduce": joined},
            **sizes,
        )
        build = partial(build_darts_backbone, **sizes)
        super().__init__(space, backbone, choices, board, build, task)
        self.partial_channels = partial_channels
        self._nodes = nodes
        self.gate_groups = tuple(tuple(node.edges) for node in self._nodes)
        self.absent = {
            edge: choices[edge].index(NONE) for node in self._nodes for edge in node.optional
        }

    def path(self, architecture: Architecture) -> dict[str, Gate]:
        """Return gates of one choice for the chosen edges, and of none for the others."""
        chosen = self._chosen(architecture)
        return {
            gate: Gate((names.index(chosen[gate]),) if gate in chosen else ())
            for gate, names in self.choices.items()
        }

    def inherited_state(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return the weights of the chosen edges, and those of the skeleton."""
        chosen = self._chosen(architecture)
        self.require_whole_channels()
        return chosen_state(self.network, chosen)

    def decision_probabilities(self, gates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the probabilities of inputs and operations; the class tells the formula."""
        found: dict[str, Tensor] = {}
        for node in self._nodes:
            found |= node.probabilities(gates)
        return found

    def derive(self, gates: Mapping[str, Tensor]) -> Architecture:
        """Return the architecture of the strongest edges and operations."""
        joined: Choice = choices_of(self.space.distributions["concat"])[0]
        params: dict[str, Choice] = {"concat": joined}
        for node in self._nodes:
            params |= node.derive(gates)
        return self.space.architecture(params)

    def _chosen(self, architecture: Architecture) -> dict[str, str]:
        """Return the operation of each chosen edge."""
        self.space.require_member(architecture)
        chosen: dict[str, str] = {}
        for node in self._nodes:
            chosen |= node.chosen(architecture)
        return chosen


def _edge_maker(
    choices: Mapping[str, tuple[str, ...]], board: GateBoard, affine: bool, partial_channels: int
) -> MakeEdges:
    """Return what makes the mixed operations of the edges of a cell."""

    def make_edges(channels: int, reduction: bool) -> dict[str, nn.Module]:
        width = chosen_channels(channels, partial_channels)
        kind = "reduce_" if reduction else "normal_"
        return {
            gate.removeprefix(kind): make_mixed(gate, width)
            for gate in choices
            if gate.startswith(kind)
        }

    def make_mixed(gate: str, width: int) -> MixedOperation:
        stride = 2 if gate.startswith(("reduce_edge_0_", "reduce_edge_1_")) else 1
        operations = {
            name: CELL_OPERATIONS[name](width, width, stride, affine=affine)
            for name in choices[gate]
        }
        return MixedOperation(
            gate, operations, board, partial_channels=partial_channels, stride=stride
        )

    return make_edges


def _check_space(space: SearchSpace) -> None:
    joined = choices_of(space.distributions["concat"])
    if tuple(joined) != ("all",):
        raise ValueError(
            'Expected argument `space` to join all nodes (`concat="all"`), as the width of a '
            f"supernet cannot depend on the architecture, but got {list(joined)}."
        )
    used = {
        str(choice)
        for name, distribution in space.distributions.items()
        if "_op_" in name
        for choice in choices_of(distribution)
    }
    unknown = sorted(used - set(CELL_OPERATIONS))
    if unknown:
        raise ValueError(
            f"Expected argument `space` to have operations of {list(CELL_OPERATIONS)} "
            f"but got {unknown}."
        )
