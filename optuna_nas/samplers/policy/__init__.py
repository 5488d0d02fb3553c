"""Controllers: recurrent policies and actors that learn from the trials of the study.

A controller is an :class:`Agent`, which learns, and a :class:`ControllerSampler`, which follows
the study for it. Importing this package loads PyTorch.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "The controllers (ReinforceSampler, PPOSampler, ActorCriticSampler, DDPGSampler) need "
        "PyTorch: install it with `pip install torch`."
    ) from error

from optuna_nas.samplers.policy import losses
from optuna_nas.samplers.policy._agent import Agent
from optuna_nas.samplers.policy._controller import ControllerSampler
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._decisions import encode
from optuna_nas.samplers.policy._decisions import EncodedWalks
from optuna_nas.samplers.policy._decisions import Walked
from optuna_nas.samplers.policy._lstm_policy import LstmPolicy
from optuna_nas.samplers.policy._lstm_policy import LstmWalk
from optuna_nas.samplers.policy._lstm_policy import PolicyOutput
from optuna_nas.samplers.policy._policy_gradient import Lesson
from optuna_nas.samplers.policy._policy_gradient import PolicyGradientAgent
from optuna_nas.samplers.policy._replay import Block
from optuna_nas.samplers.policy._replay import Episode
from optuna_nas.samplers.policy._rewards import ChebyshevScalarization
from optuna_nas.samplers.policy._rewards import MnasNetScalarization
from optuna_nas.samplers.policy._rewards import Outcomes
from optuna_nas.samplers.policy._rewards import RankReward
from optuna_nas.samplers.policy._rewards import Reward
from optuna_nas.samplers.policy._rewards import Scalarization
from optuna_nas.samplers.policy._rewards import ScoreReward
from optuna_nas.samplers.policy._settings import check_ranges
from optuna_nas.samplers.policy._settings import ControllerSettings
from optuna_nas.samplers.policy._state import DTYPE
from optuna_nas.samplers.policy._state import PolicyState
from optuna_nas.samplers.policy._walks import Steps
from optuna_nas.samplers.policy._walks import walk_through


__all__ = [
    "Agent",
    "Block",
    "ChebyshevScalarization",
    "ControllerSampler",
    "ControllerSettings",
    "DTYPE",
    "Decision",
    "EncodedWalks",
    "Episode",
    "Lesson",
    "LstmPolicy",
    "LstmWalk",
    "MnasNetScalarization",
    "Outcomes",
    "PolicyGradientAgent",
    "PolicyOutput",
    "PolicyState",
    "RankReward",
    "Reward",
    "Scalarization",
    "ScoreReward",
    "Steps",
    "Walked",
    "check_ranges",
    "encode",
    "losses",
    "walk_through",
]
