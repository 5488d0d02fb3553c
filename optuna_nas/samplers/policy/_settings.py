"""The settings that all controllers share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass

from optuna_nas.samplers.policy._rewards import RankReward
from optuna_nas.samplers.policy._rewards import Reward


_RANGES: Mapping[str, Callable[[float], bool]] = {
    "above 0": lambda x: x > 0,
    "at least 0": lambda x: x >= 0,
    "at least 1": lambda x: x >= 1,
    "in (0, 1)": lambda x: 0 < x < 1,
    "in (0, 1]": lambda x: 0 < x <= 1,
    "in [0, 1)": lambda x: 0 <= x < 1,
    "in [0, 1]": lambda x: 0 <= x <= 1,
}


def check_ranges(**arguments: tuple[float, str]) -> None:
    """Raise a ValueError for the first argument that is out of its range.

    Args:
        arguments: By name the value and the range, e.g. ``clip=(clip, "in (0, 1)")``.
    """
    for name, (value, expected) in arguments.items():
        if not _RANGES[expected](value):
            raise ValueError(f"Expected argument `{name}` to be {expected} but got {value}.")


@dataclass(frozen=True)
class ControllerSettings:
    """How a controller follows a study; its algorithm's own settings belong to its sampler.

    Args:
        block_size: Number of consecutive trials that are learned together.
        patience: An unfinished trial is left out for good when this many later ones are finished.
        reward: From objective values to rewards; by default in [-1, 1].
        floor_reward: Reward of pruned and failed trials, and of the least infeasible ones; other
            infeasible trials are below it by up to 1.
        learn_failures: Whether failed trials get the floor reward; else they are left out.
        n_candidates: Number of architectures that the controller makes for a proposal. The first
            one that is not taken and keeps the constraints is proposed.
        policy_seed: Seed of the first weights, which are the same in every process.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

        >>> from optuna_nas import CellSpace
        >>> from optuna_nas.samplers import ControllerSettings
        >>> from optuna_nas.samplers import ReinforceSampler
        >>> settings = ControllerSettings(block_size=5)
        >>> sampler = ReinforceSampler(settings=settings, space=CellSpace(), seed=0)
    """

    block_size: int = 10
    patience: int = 50
    reward: Reward = RankReward()
    floor_reward: float = -1.0
    learn_failures: bool = True
    n_candidates: int = 8
    policy_seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(
            block_size=(self.block_size, "at least 1"),
            patience=(self.patience, "at least 1"),
            n_candidates=(self.n_candidates, "at least 1"),
            policy_seed=(self.policy_seed, "at least 0"),
        )
