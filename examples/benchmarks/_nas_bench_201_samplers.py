"""The samplers that the benchmark compares; to add one, add a line to ``SAMPLERS``."""

from __future__ import annotations

from collections.abc import Callable

from optuna.samplers import BaseSampler
from optuna.samplers import GPSampler
from optuna.samplers import NSGAIISampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler

from optuna_nas import samplers
from optuna_nas import SearchSpace


Factory = Callable[[int, SearchSpace], BaseSampler]
"""``factory(seed, space)`` makes the sampler of one run."""


def _ours(**class_names: str) -> dict[str, Factory]:
    """Return factories of the samplers of this package that exist, with their defaults."""
    found = {
        name.replace("_", "-"): getattr(samplers, class_name, None)
        for name, class_name in class_names.items()
    }
    return {name: _with_space(cls) for name, cls in found.items() if cls is not None}


def _with_space(cls: Callable[..., BaseSampler]) -> Factory:
    return lambda seed, space: cls(seed=seed, space=space)


STOCK: dict[str, Factory] = {
    "random": lambda seed, space: RandomSampler(seed=seed),
    "tpe": lambda seed, space: TPESampler(seed=seed),
    "nsga-ii": lambda seed, space: NSGAIISampler(population_size=20, seed=seed),
    "gp": lambda seed, space: GPSampler(seed=seed),
}
"""Optuna's own samplers: defaults, but for the population of NSGA-II."""

SAMPLERS: dict[str, Factory] = {
    **STOCK,
    **_ours(
        random_architecture="RandomArchitectureSampler",
        genetic="GeneticSampler",
        regularized_evolution="RegularizedEvolutionSampler",
        local_search="LocalSearchSampler",
        reinforce="ReinforceSampler",
        ppo="PPOSampler",
        actor_critic="ActorCriticSampler",
        ddpg="DDPGSampler",
    ),
}
"""All samplers by the name on the command line."""

SLOW = frozenset({"gp"})
"""Samplers that take so long that they get fewer runs."""
