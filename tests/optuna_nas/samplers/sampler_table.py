"""The samplers of this package, in the settings over which all rules are tested."""

from __future__ import annotations

from collections.abc import Callable

from optuna_nas.samplers import ActorCriticSampler
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers import ControllerSettings
from optuna_nas.samplers import DDPGSampler
from optuna_nas.samplers import GeneticSampler
from optuna_nas.samplers import LocalSearchSampler
from optuna_nas.samplers import PPOSampler
from optuna_nas.samplers import RandomArchitectureSampler
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.samplers import ReinforceSampler
from optuna_nas.samplers import ScreeningSampler


BLOCKS_OF_5 = ControllerSettings(block_size=5)

SAMPLERS: dict[str, Callable[..., ArchitectureSampler]] = {
    "genetic": lambda **kwargs: GeneticSampler(population_size=8, **kwargs),
    "genetic-replacing": lambda **kwargs: GeneticSampler(
        population_size=6,
        elite_size=1,
        selection="roulette",
        crossover="one_point",
        **kwargs,
    ),
    "genetic-adaptive": lambda **kwargs: GeneticSampler(
        selection="rank",
        crossover="two_point",
        mutation="step",
        mutation_prob="adaptive",
        **kwargs,
    ),
    "regularized-evolution": lambda **kwargs: RegularizedEvolutionSampler(**kwargs),
    "local-search": lambda **kwargs: LocalSearchSampler(**kwargs),
    "local-search-best": lambda **kwargs: LocalSearchSampler(
        n_initial=3, improvement="best", order="random", **kwargs
    ),
    "random-architecture": lambda **kwargs: RandomArchitectureSampler(**kwargs),
    "screening": lambda **kwargs: ScreeningSampler(
        GeneticSampler(population_size=8, space=kwargs.get("space"), seed=kwargs.get("seed")),
        len,
        pool=3,
        **kwargs,
    ),
    "reinforce": lambda **kwargs: ReinforceSampler(settings=BLOCKS_OF_5, **kwargs),
    "ppo": lambda **kwargs: PPOSampler(settings=BLOCKS_OF_5, **kwargs),
    "actor-critic": lambda **kwargs: ActorCriticSampler(settings=BLOCKS_OF_5, **kwargs),
    "ddpg": lambda **kwargs: DDPGSampler(settings=BLOCKS_OF_5, **kwargs),
}

CONTROLLERS = ("reinforce", "ppo", "actor-critic", "ddpg")
