"""The supernet of cells: a mixed operation on every edge."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from lightning_modules.spaces.cell.network import build_cell_backbone
from lightning_modules.spaces.cell.network import Cell
from lightning_modules.spaces.cell.network import CellBackbone
from lightning_modules.spaces.cell.network import dead_edges
from lightning_modules.spaces.cell.network import edge_ends
from lightning_modules.spaces.cell.operations import make_operation
from lightning_modules.supernet._gates import chosen_channels
from lightning_modules.supernet._gates import chosen_state
from lightning_modules.supernet._gates import Gate
from lightning_modules.supernet._gates import GateBoard
from lightning_modules.supernet._gates import MixedOperation
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.tasks import Task
from optuna_nas import Architecture
from optuna_nas.spaces import choices_of
from optuna_nas.spaces import SearchSpace


class CellSupernet(Supernet):
    """The supernet of a :class:`~optuna_nas.CellSpace`; a gate ``edge_i_j`` is a decision.

    All cells share the gates, and each has weights of its own.

    Args:
        space: The search space, or a sub-space of it.
        task: It brings the head and the loss.
        input_shape: (channels, height, width) of an image.
        channels: Channels of the first stage.
        cells_per_stage: Number of cells in each stage.
        stages: Number of stages.
        affine: Whether the operations' normalisation has learned weights. Without them, a scale
            cannot stand in for the weight of a choice (Liu et al., ICLR 2019, section A.1).
        partial_channels: With K > 1 only every K-th channel passes through the operations
            (PC-DARTS, Xu et al., ICLR 2020, section 3.2); such a supernet leaves no weights to
            single networks.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task,
        *,
        input_shape: tuple[int, int, int],
        channels: int = 16,
        cells_per_stage: int = 5,
        stages: int = 3,
        affine: bool = True,
        partial_channels: int = 1,
    ) -> None:
        board = GateBoard()
        operations = {
            edge: tuple(map(str, choices_of(distribution)))
            for edge, distribution in space.distributions.items()
        }
        sizes: dict[str, Any] = {
            "input_shape": input_shape,
            "channels": channels,
            "cells_per_stage": cells_per_stage,
            "stages": stages,
        }
        super().__init__(
            space,
            CellBackbone(_cell_maker(operations, board, affine, partial_channels), **sizes),
            operations,
            board,
            partial(build_cell_backbone, **sizes),
            task,
        )
        self.partial_channels = partial_channels
        targets = sorted({edge_ends(edge)[1] for edge in operations})
        self.gate_groups = tuple(
            tuple(edge for edge in operations if edge_ends(edge)[1] == target)
            for target in targets
        )

    def path(self, architecture: Architecture) -> dict[str, Gate]:
        self.space.require_member(architecture)
        dead = dead_edges({edge: str(choice) for edge, choice in architecture.items()})
        return {
            edge: Gate(() if edge in dead else (self.choices[edge].index(operation),))
            for edge, operation in architecture.items()
        }

    def inherited_state(self, architecture: Architecture) -> dict[str, Tensor]:
        self.space.require_member(architecture)
        self.require_whole_channels()
        return chosen_state(
            self.network, {edge: str(choice) for edge, choice in architecture.items()}
        )


class MixedCell(Cell):
    """A cell of mixed operations, which skips the same edges of a path as its single network."""

    def dead_edges(self) -> Collection[str]:
        """Return the edges that are zero or do not reach the last node with the present gates."""
        return dead_edges(
            {
                name: "none" if isinstance(edge, MixedOperation) and edge.is_zero() else ""
                for name, edge in self.edges.items()
            }
        )


def _cell_maker(
    operations: Mapping[str, tuple[str, ...]],
    board: GateBoard,
    affine: bool,
    partial_channels: int,
) -> Callable[[int], Cell]:
    """Return what makes a cell of mixed operations for a number of channels."""

    def make_cell(channels: int) -> Cell:
        width = chosen_channels(channels, partial_channels)
        return MixedCell({edge: make_mixed(edge, width) for edge in operations})

    def make_mixed(edge: str, width: int) -> MixedOperation:
        choices = {
            operation: make_operation(operation, width, width, affine=affine)
            for operation in operations[edge]
        }
        return MixedOperation(edge, choices, board, partial_channels=partial_channels)

    return make_cell
