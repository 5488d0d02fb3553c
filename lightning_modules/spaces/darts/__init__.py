"""The kit of normal and reduction cells with two inputs."""

from lightning_modules.spaces.darts.kit import KIT
from lightning_modules.spaces.darts.network import build_darts_backbone
from lightning_modules.spaces.darts.network import DartsBackbone
from lightning_modules.spaces.darts.network import DartsCell
from lightning_modules.spaces.darts.operations import CELL_OPERATIONS
from lightning_modules.spaces.darts.supernet import DartsSupernet


__all__ = [
    "CELL_OPERATIONS",
    "DartsBackbone",
    "DartsCell",
    "DartsSupernet",
    "KIT",
    "build_darts_backbone",
]
