"""The names of this package; see ``_lazy.py``."""

from lightning_modules.supernet._build import build_relaxed as build_relaxed
from lightning_modules.supernet._build import build_supernet as build_supernet
from lightning_modules.supernet._collapse import is_collapsed as is_collapsed
from lightning_modules.supernet._curvature import (
    architecture_eigenvalue as architecture_eigenvalue,
)
from lightning_modules.supernet._data import SupernetDataModule as SupernetDataModule
from lightning_modules.supernet._evaluate import recalibrate as recalibrate
from lightning_modules.supernet._evaluate import SupernetEvaluator as SupernetEvaluator
from lightning_modules.supernet._file import load_supernet as load_supernet
from lightning_modules.supernet._file import save_supernet as save_supernet
from lightning_modules.supernet._gates import Gate as Gate
from lightning_modules.supernet._gates import Gates as Gates
from lightning_modules.supernet._gates import MixedOperation as MixedOperation
from lightning_modules.supernet._guards import CollapseGuard as CollapseGuard
from lightning_modules.supernet._module import SupernetModule as SupernetModule
from lightning_modules.supernet._optimizers import make_optimizers as make_optimizers
from lightning_modules.supernet._optimizers import supernet_rate_factor as supernet_rate_factor
from lightning_modules.supernet._optimizers import SUPERNET_SCHEDULES as SUPERNET_SCHEDULES
from lightning_modules.supernet._paths import PathScores as PathScores
from lightning_modules.supernet._result import SupernetResult as SupernetResult
from lightning_modules.supernet._search import SupernetSearch as SupernetSearch
from lightning_modules.supernet._stage import SupernetStage as SupernetStage
from lightning_modules.supernet._stage_folder import PRIOR_FILE as PRIOR_FILE
from lightning_modules.supernet._stage_folder import stage_settings as stage_settings
from lightning_modules.supernet._stage_folder import SUPERNET_FILE as SUPERNET_FILE
from lightning_modules.supernet._supernet import inherit_weights as inherit_weights
from lightning_modules.supernet._supernet import Supernet as Supernet
from lightning_modules.supernet.settings import DEFAULT_RELAXATION as DEFAULT_RELAXATION
from lightning_modules.supernet.settings import StageSettings as StageSettings
