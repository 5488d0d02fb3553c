"""Controllers: recurrent policies and actors that learn from the trials of the study.

Importing this package loads PyTorch.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "The controllers (ReinforceSampler, PPOSampler, ActorCriticSampler, DDPGSampler) need "
        "PyTorch: install it with `pip install torch`."
    ) from error

from optuna_nas.samplers.controllers._actor_critic import ActorCriticSampler
from optuna_nas.samplers.controllers._base import ControllerSampler
from optuna_nas.samplers.controllers._ddpg import DDPGSampler
from optuna_nas.samplers.controllers._ppo import PPOSampler
from optuna_nas.samplers.controllers._reinforce import ReinforceSampler
from optuna_nas.samplers.controllers._rewards import ChebyshevScalarization
from optuna_nas.samplers.controllers._rewards import MnasNetScalarization
from optuna_nas.samplers.controllers._rewards import Outcomes
from optuna_nas.samplers.controllers._rewards import RankReward
from optuna_nas.samplers.controllers._rewards import ScoreReward


__all__ = [
    "ActorCriticSampler",
    "ChebyshevScalarization",
    "ControllerSampler",
    "DDPGSampler",
    "MnasNetScalarization",
    "Outcomes",
    "PPOSampler",
    "RankReward",
    "ReinforceSampler",
    "ScoreReward",
]
