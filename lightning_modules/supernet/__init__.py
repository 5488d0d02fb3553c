"""Supernets: one network for all architectures of a space, trained before the study."""

from lightning_modules.supernet._build import build_relaxed
from lightning_modules.supernet._build import build_supernet
from lightning_modules.supernet._collapse import is_collapsed
from lightning_modules.supernet._curvature import architecture_eigenvalue
from lightning_modules.supernet._data import SupernetDataModule
from lightning_modules.supernet._evaluate import recalibrate
from lightning_modules.supernet._evaluate import SupernetEvaluator
from lightning_modules.supernet._file import load_supernet
from lightning_modules.supernet._file import save_supernet
from lightning_modules.supernet._gates import Gate
from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._gates import MixedOperation
from lightning_modules.supernet._guards import CollapseGuard
from lightning_modules.supernet._module import SupernetModule
from lightning_modules.supernet._optimizers import make_optimizers
from lightning_modules.supernet._optimizers import supernet_rate_factor
from lightning_modules.supernet._optimizers import SUPERNET_SCHEDULES
from lightning_modules.supernet._paths import PathScores
from lightning_modules.supernet._search import SupernetSearch
from lightning_modules.supernet._settings import stage_settings
from lightning_modules.supernet._stage import DEFAULT_RELAXATION
from lightning_modules.supernet._stage import PRIOR_FILE
from lightning_modules.supernet._stage import SUPERNET_FILE
from lightning_modules.supernet._stage import SupernetResult
from lightning_modules.supernet._stage import SupernetStage
from lightning_modules.supernet._supernet import inherit_weights
from lightning_modules.supernet._supernet import Supernet


__all__ = [
    "CollapseGuard",
    "DEFAULT_RELAXATION",
    "Gate",
    "Gates",
    "MixedOperation",
    "PRIOR_FILE",
    "PathScores",
    "SUPERNET_FILE",
    "SUPERNET_SCHEDULES",
    "Supernet",
    "SupernetDataModule",
    "SupernetEvaluator",
    "SupernetModule",
    "SupernetResult",
    "SupernetSearch",
    "SupernetStage",
    "architecture_eigenvalue",
    "build_relaxed",
    "build_supernet",
    "inherit_weights",
    "is_collapsed",
    "load_supernet",
    "make_optimizers",
    "recalibrate",
    "save_supernet",
    "stage_settings",
    "supernet_rate_factor",
]
