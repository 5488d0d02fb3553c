"""Training with Lightning: the module of a task, the evaluator of trials, and the final network."""

from lightning_modules._lazy import lazy_names


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
