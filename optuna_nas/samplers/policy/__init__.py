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

from optuna_nas.samplers.policy._base import ControllerSampler
from optuna_nas.samplers.policy._rewards import ChebyshevScalarization
from optuna_nas.samplers.policy._rewards import MnasNetScalarization
from optuna_nas.samplers.policy._rewards import Outcomes
from optuna_nas.samplers.policy._rewards import RankReward
from optuna_nas.samplers.policy._rewards import ScoreReward


__all__ = [
    "ChebyshevScalarization",
    "ControllerSampler",
    "MnasNetScalarization",
    "Outcomes",
    "RankReward",
    "ScoreReward",
]
