"""Networks of architectures, their training with PyTorch Lightning, and what they cost."""

from lightning_modules.builders import build_cell_network
from lightning_modules.builders import build_chain_network
from lightning_modules.builders import build_network
from lightning_modules.builders import BUILDERS
from lightning_modules.cells import Cell
from lightning_modules.cells import CellNetwork
from lightning_modules.operations import make_operation
from lightning_modules.operations import OPERATIONS


__all__ = [
    "BUILDERS",
    "Cell",
    "CellNetwork",
    "OPERATIONS",
    "build_cell_network",
    "build_chain_network",
    "build_network",
    "make_operation",
]
