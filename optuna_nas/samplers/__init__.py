"""Strategies of architecture search as Optuna samplers."""

import importlib
from typing import Any
from typing import TYPE_CHECKING

from optuna_nas.samplers._screening import ScreeningSampler
from optuna_nas.samplers.core._base import ArchitectureSampler
from optuna_nas.samplers.genetic import GeneticSampler
from optuna_nas.samplers.local_search import LocalSearchSampler
from optuna_nas.samplers.random_architecture import RandomArchitectureSampler
from optuna_nas.samplers.regularized_evolution import RegularizedEvolutionSampler


if TYPE_CHECKING:
    from optuna_nas.samplers.policy import ActorCriticSampler
    from optuna_nas.samplers.policy import DDPGSampler
    from optuna_nas.samplers.policy import PPOSampler
    from optuna_nas.samplers.policy import ReinforceSampler


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
    "ActorCriticSampler": "optuna_nas.samplers.policy",
    "DDPGSampler": "optuna_nas.samplers.policy",
    "PPOSampler": "optuna_nas.samplers.policy",
    "ReinforceSampler": "optuna_nas.samplers.policy",
}


def __getattr__(name: str) -> Any:
    """Load what needs PyTorch on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
