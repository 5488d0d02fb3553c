"""The kit of cells: NAS-Bench-201 and its likes."""

from lightning_modules.spaces.cell.kit import KIT
from lightning_modules.spaces.cell.network import build_cell_backbone
from lightning_modules.spaces.cell.network import Cell
from lightning_modules.spaces.cell.network import CellBackbone
from lightning_modules.spaces.cell.operations import make_operation
from lightning_modules.spaces.cell.operations import OPERATIONS
from lightning_modules.spaces.cell.supernet import CellSupernet


__all__ = [
    "Cell",
    "CellBackbone",
    "CellSupernet",
    "KIT",
    "OPERATIONS",
    "build_cell_backbone",
    "make_operation",
]
