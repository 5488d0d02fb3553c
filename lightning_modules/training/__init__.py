"""Training with Lightning: a task's module, the evaluator of trials, and the final network."""

from typing import TYPE_CHECKING

from lightning_modules._lazy import lazy_imports


if TYPE_CHECKING:
    from lightning_modules.training.architecture_module import (
        ArchitectureModule as ArchitectureModule,
    )
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
else:
    __getattr__, __dir__, __all__ = lazy_imports(__name__, __file__)
