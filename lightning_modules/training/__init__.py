"""Training with Lightning: the module of a task, the evaluator of trials, and the final network."""

from lightning_modules.training.architecture_module import ArchitectureModule
from lightning_modules.training.checkpoint import CheckpointError
from lightning_modules.training.checkpoint import describe_build
from lightning_modules.training.checkpoint import FinishedModel
from lightning_modules.training.checkpoint import load_checkpoint
from lightning_modules.training.evaluator import TrainingEvaluator
from lightning_modules.training.final import train_final
from lightning_modules.training.module import OPTIMIZERS
from lightning_modules.training.module import TaskModule
from lightning_modules.training.schedule import learning_rate_factor
from lightning_modules.training.schedule import SCHEDULES


__all__ = [
    "ArchitectureModule",
    "CheckpointError",
    "FinishedModel",
    "OPTIMIZERS",
    "SCHEDULES",
    "TaskModule",
    "TrainingEvaluator",
    "describe_build",
    "learning_rate_factor",
    "load_checkpoint",
    "train_final",
]
