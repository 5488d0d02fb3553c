"""The samplers that the benchmark compares: all that have a name, and Optuna's ``GPSampler``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from optuna.samplers import BaseSampler

from optuna_nas import SearchSpace
from optuna_nas.samplers import make_sampler
from optuna_nas.samplers import SAMPLERS as NAMED


Factory = Callable[[int, SearchSpace], BaseSampler]
"""``factory(seed, space)`` makes the sampler of one run."""

STOCK = ("random", "tpe", "nsgaii", "gp")
"""Optuna's own samplers: defaults, but for the population of NSGA-II, which is 20."""

SLOW = frozenset({"gp"})
"""Samplers that take so long that they get fewer runs."""


def _make(name: str, seed: int, space: SearchSpace) -> BaseSampler:
    return make_sampler(
        "optuna.samplers:GPSampler" if name == "gp" else name, seed=seed, space=space
    )


SAMPLERS: dict[str, Factory] = {
    name: partial(_make, name) for name in dict.fromkeys([*STOCK, *NAMED])
}
"""All samplers by the name on the command line; a package adds one by an entry point."""
