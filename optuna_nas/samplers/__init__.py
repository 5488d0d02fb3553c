"""Strategies of architecture search as Optuna samplers.

Each file here without a leading underscore is a name on the command line, and its ``SAMPLER`` is
the class: a new sampler is one new file.
"""

import importlib
from typing import Any
from typing import TYPE_CHECKING

from optuna_nas.samplers._registry import accepts
from optuna_nas.samplers._registry import make_sampler
from optuna_nas.samplers._registry import SAMPLERS
from optuna_nas.samplers._screening import ScreeningSampler
from optuna_nas.samplers.core import ArchitectureSampler
from optuna_nas.samplers.genetic import GeneticSampler
from optuna_nas.samplers.local_search import LocalSearchSampler
from optuna_nas.samplers.random_architecture import RandomArchitectureSampler
from optuna_nas.samplers.regularized_evolution import RegularizedEvolutionSampler


if TYPE_CHECKING:
    from optuna_nas.samplers.actor_critic import ActorCriticSampler
    from optuna_nas.samplers.ddpg import DDPGSampler
    from optuna_nas.samplers.policy import ControllerSettings
    from optuna_nas.samplers.ppo import PPOSampler
    from optuna_nas.samplers.reinforce import ReinforceSampler


__all__ = [
    "ActorCriticSampler",
    "ArchitectureSampler",
    "ControllerSettings",
    "DDPGSampler",
    "GeneticSampler",
    "LocalSearchSampler",
    "PPOSampler",
    "RandomArchitectureSampler",
    "RegularizedEvolutionSampler",
    "ReinforceSampler",
    "SAMPLERS",
    "ScreeningSampler",
    "accepts",
    "make_sampler",
]

_LATER = {
    "ActorCriticSampler": "actor_critic",
    "ControllerSettings": "policy",
    "DDPGSampler": "ddpg",
    "PPOSampler": "ppo",
    "ReinforceSampler": "reinforce",
}


def __getattr__(name: str) -> Any:
    """Load what needs PyTorch on first use."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module(f"{__name__}.policy")  # It says what to do without PyTorch.
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
