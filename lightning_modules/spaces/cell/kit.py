"""All that belongs to the space of cells."""

from lightning_modules.spaces._kit import Kit
from lightning_modules.spaces.cell.latency import latency_terms
from lightning_modules.spaces.cell.network import build_cell_backbone
from lightning_modules.spaces.cell.supernet import CellSupernet
from optuna_nas.spaces import CellSpace


KIT = Kit(
    CellSpace,
    build_cell_backbone,
    small={"channels": 8, "cells_per_stage": 1},
    latency_terms=latency_terms,
    supernet=CellSupernet,
    marks="~",
)
