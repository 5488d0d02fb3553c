"""Supernets: one network for all architectures of a space, trained before the study."""

from lightning_modules._lazy import lazy_names


_MODULES = {
    "CollapseGuard": "lightning_modules.supernet._guards",
    "DEFAULT_RELAXATION": "lightning_modules.supernet._stage",
    "Gate": "lightning_modules.supernet._gates",
    "Gates": "lightning_modules.supernet._gates",
    "MixedOperation": "lightning_modules.supernet._gates",
    "PRIOR_FILE": "lightning_modules.supernet._stage",
    "PathScores": "lightning_modules.supernet._paths",
    "SUPERNET_FILE": "lightning_modules.supernet._stage",
    "SUPERNET_SCHEDULES": "lightning_modules.supernet._optimizers",
    "Supernet": "lightning_modules.supernet._supernet",
    "SupernetDataModule": "lightning_modules.supernet._data",
    "SupernetEvaluator": "lightning_modules.supernet._evaluate",
    "SupernetModule": "lightning_modules.supernet._module",
    "SupernetResult": "lightning_modules.supernet._stage",
    "SupernetSearch": "lightning_modules.supernet._search",
    "SupernetStage": "lightning_modules.supernet._stage",
    "architecture_eigenvalue": "lightning_modules.supernet._curvature",
    "build_relaxed": "lightning_modules.supernet._build",
    "build_supernet": "lightning_modules.supernet._build",
    "inherit_weights": "lightning_modules.supernet._supernet",
    "is_collapsed": "lightning_modules.supernet._collapse",
    "load_supernet": "lightning_modules.supernet._file",
    "make_optimizers": "lightning_modules.supernet._optimizers",
    "recalibrate": "lightning_modules.supernet._evaluate",
    "save_supernet": "lightning_modules.supernet._file",
    "stage_settings": "lightning_modules.supernet._settings",
    "supernet_rate_factor": "lightning_modules.supernet._optimizers",
}

__getattr__ = lazy_names(__name__, _MODULES)
