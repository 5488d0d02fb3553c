"""Cells as sums over a graph, and their skeleton."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_modules import Cell
from lightning_modules import CellNetwork
from lightning_modules.spaces.cell.cells import ReductionBlock


class Times(nn.Module):
    """Multiplies by a number, and counts its calls."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x * self.factor


def test_cell_sums_over_paths() -> None:
    cell = Cell({"edge_1_2": Times(3.0), "edge_0_2": Times(5.0), "edge_0_1": Times(2.0)})
    assert cell(torch.ones(1)).item() == 5 + 2 * 3


def test_missing_edges() -> None:
    assert Cell({})(torch.ones(2)).tolist() == [0, 0]
    assert Cell({"edge_1_2": Times(3.0)})(torch.ones(1)).item() == 0


def test_dead_edges_are_kept_but_neither_computed_nor_trained() -> None:
    cell = Cell({"edge_0_1": Times(2.0), "edge_0_2": Times(5.0)}, dead={"edge_0_1", "edge_1_2"})
    assert cell(torch.ones(1)).item() == 5
    dead = cell.edges["edge_0_1"]
    assert isinstance(dead, Times)
    assert dead.calls == 0
    assert not dead.factor.requires_grad
    assert set(cell.state_dict()) == {"edges.edge_0_1.factor", "edges.edge_0_2.factor"}


@pytest.mark.parametrize(("size", "half"), [(8, 4), (7, 4), (1, 1)])
def test_reduction_block_rounds_up(size: int, half: int) -> None:
    assert ReductionBlock(3, 6)(torch.randn(2, 3, size, size)).shape == (2, 6, half, half)


def test_skeleton_makes_cells_of_each_stage() -> None:
    widths: list[int] = []

    def make_cell(channels: int) -> nn.Module:
        widths.append(channels)
        return nn.Identity()

    network = CellNetwork(
        make_cell, input_shape=(3, 9, 9), num_classes=7, channels=4, cells_per_stage=2, stages=3
    )
    assert widths == [4, 4, 8, 8, 16, 16]
    assert [type(cell) for cell in network.cells].count(ReductionBlock) == 2
    assert network(torch.randn(2, 3, 9, 9)).shape == (2, 7)


@pytest.mark.parametrize("name", ["channels", "cells_per_stage", "stages", "num_classes"])
def test_sizes_below_one(name: str) -> None:
    arguments = {"num_classes": 2, name: 0}
    with pytest.raises(ValueError, match=f"`{name}` to be at least 1 but got 0"):
        CellNetwork(nn.Identity, input_shape=(1, 4, 4), **arguments)  # type: ignore[arg-type]
