"""Training with Lightning: a task's module, the evaluator of trials, and the final network."""

from typing import TYPE_CHECKING

from lightning_modules._lazy import lazy_names


if TYPE_CHECKING:
    from lightning_modules.training.architecture_module import (
        ArchitectureModule as ArchitectureModule,
    )
    from lightning_modules.training.checkpoint import CheckpointError as CheckpointError
    from lightning_modules.training.checkpoint import describe_build as describe_build
    from lightning_modules.training.checkpoint import FinishedModel as FinishedModel
    from lightning_modules.training.checkpoint import load_checkpoint as load_checkpoint
    from lightning_modules.training.evaluator import TrainingEvaluator as TrainingEvaluator
    from lightning_modules.training.final import train_final as train_final
    from lightning_modules.training.module import OPTIMIZERS as OPTIMIZERS
    from lightning_modules.training.module import TaskModule as TaskModule
    from lightning_modules.training.schedule import learning_rate_factor as learning_rate_factor
    from lightning_modules.training.schedule import SCHEDULES as SCHEDULES


_MODULES = {
    "ArchitectureModule": "lightning_modules.training.architecture_module",
    "CheckpointError": "lightning_modules.training.checkpoint",
    "FinishedModel": "lightning_modules.training.checkpoint",
    "OPTIMIZERS": "lightning_modules.training.module",
    "SCHEDULES": "lightning_modules.training.schedule",
    "TaskModule": "lightning_modules.training.module",
    "TrainingEvaluator": "lightning_modules.training.evaluator",
    "describe_build": "lightning_modules.training.checkpoint",
    "learning_rate_factor": "lightning_modules.training.schedule",
    "load_checkpoint": "lightning_modules.training.checkpoint",
    "train_final": "lightning_modules.training.final",
}

__getattr__ = lazy_names(__name__, _MODULES)
