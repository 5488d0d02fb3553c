"""Strategies of architecture search as Optuna samplers."""

import importlib
from typing import Any
from typing import TYPE_CHECKING

from optuna_nas.samplers._base import ArchitectureSampler
from optuna_nas.samplers._genetic import GeneticSampler
from optuna_nas.samplers._local_search import LocalSearchSampler
from optuna_nas.samplers._random import RandomArchitectureSampler
from optuna_nas.samplers._regularized_evolution import RegularizedEvolutionSampler
from optuna_nas.samplers._screening import ScreeningSampler


if TYPE_CHECKING:
    from optuna_nas.samplers.controllers import ActorCriticSampler
    from optuna_nas.samplers.controllers import DDPGSampler
    from optuna_nas.samplers.controllers import PPOSampler
    from optuna_nas.samplers.controllers import ReinforceSampler


__all__ = [
    "ActorCriticSampler",
    "ArchitectureSampler",
    "DDPGSampler",
    "GeneticSampler",
    "LocalSearchSampler",
    "PPOSampler",
    "RandomArchitectureSampler",
    "RegularizedEvolutionSampler",
    "ReinforceSampler",
    "ScreeningSampler",
]

_LAZY = {
    "ActorCriticSampler": "optuna_nas.samplers.controllers",
    "DDPGSampler": "optuna_nas.samplers.controllers",
    "PPOSampler": "optuna_nas.samplers.controllers",
    "ReinforceSampler": "optuna_nas.samplers.controllers",
}


def __getattr__(name: str) -> Any:
    """Load what needs PyTorch on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
