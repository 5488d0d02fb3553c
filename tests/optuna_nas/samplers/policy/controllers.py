"""The four controllers and what their tests do with them."""

from __future__ import annotations

from collections.abc import Callable
import hashlib
import math

import numpy as np
import optuna
from optuna.storages import BaseStorage
from optuna.storages import JournalStorage
from optuna.storages import RDBStorage
from optuna.storages.journal import JournalFileBackend

from optuna_nas import CellSpace
from optuna_nas.samplers import ActorCriticSampler
from optuna_nas.samplers import DDPGSampler
from optuna_nas.samplers import PPOSampler
from optuna_nas.samplers import ReinforceSampler
from optuna_nas.samplers.policy import ControllerSampler
from optuna_nas.samplers.policy import ControllerSettings


CONTROLLERS: dict[str, Callable[..., ControllerSampler]] = {
    "reinforce": ReinforceSampler,
    "ppo": PPOSampler,
    "actor-critic": ActorCriticSampler,
    "ddpg": DDPGSampler,
}
CELL = CellSpace()
BLOCKS_OF_5 = ControllerSettings(block_size=5)


def count(trial: optuna.Trial) -> float:
    """Return the number of 3x3 convolutions of a cell."""
    return list(CELL.suggest(trial).values()).count("nor_conv_3x3")


def flaky(trial: optuna.Trial) -> float:
    """Do what :func:`count` does, but for trials that fail, are pruned, or are not a number."""
    value = count(trial)
    if trial.number % 7 == 3:
        raise RuntimeError
    if trial.number % 11 == 5:
        raise optuna.TrialPruned
    return math.nan if trial.number % 13 == 6 else value


def chain(trial: optuna.Trial) -> float:
    """Good if all kernels are equal; how many there are is decided on the way."""
    kernels = [trial.suggest_categorical("kernel_0", [3, 5, 7])]
    while trial.suggest_categorical(f"more_{len(kernels)}", [True, False]) and len(kernels) < 4:
        kernels.append(trial.suggest_categorical(f"kernel_{len(kernels)}", [3, 5, 7]))
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    return len(kernels) - 2 * (len(set(kernels)) - 1) - abs(math.log10(rate) + 2) / 2


def started(sampler: ControllerSampler, n_trials: int = 40) -> optuna.Study:
    """Return a study of some trials."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(count, n_trials=n_trials)
    return study


def equal(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    """Tell whether weights are equal bit by bit."""
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def digest(weights: dict[str, np.ndarray]) -> str:
    """Return a text that is equal for equal weights."""
    data = b"".join(name.encode() + value.tobytes() for name, value in weights.items())
    return hashlib.sha256(data).hexdigest()


def open_storage(path: str) -> BaseStorage:
    """Open a journal or an sqlite file, also while other processes use it."""
    if path.endswith(".log"):
        return JournalStorage(JournalFileBackend(path))
    return RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
