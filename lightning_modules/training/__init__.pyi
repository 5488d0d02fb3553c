"""The names of this package; see ``_lazy.py``."""

from lightning_modules.training.architecture_module import ArchitectureModule as ArchitectureModule
from lightning_modules.training.checkpoint import CheckpointError as CheckpointError
from lightning_modules.training.checkpoint import describe_build as describe_build
from lightning_modules.training.checkpoint import load_checkpoint as load_checkpoint
from lightning_modules.training.evaluator import TrainingEvaluator as TrainingEvaluator
from lightning_modules.training.final import train_final as train_final
from lightning_modules.training.finished import FinishedModel as FinishedModel
from lightning_modules.training.module import OPTIMIZERS as OPTIMIZERS
from lightning_modules.training.module import TaskModule as TaskModule
from lightning_modules.training.schedule import learning_rate_factor as learning_rate_factor
from lightning_modules.training.schedule import SCHEDULES as SCHEDULES
