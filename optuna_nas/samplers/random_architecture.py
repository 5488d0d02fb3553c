"""Random search over architectures, without repeats."""

from __future__ import annotations

import numpy as np

from optuna_nas.samplers.core import ArchitectureSampler
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import Params
from optuna_nas.samplers.core import TrialDomain


class RandomArchitectureSampler(ArchitectureSampler):
    """Sampler that draws uniformly over architectures, and none twice.

    Drawing each decision uniformly, as Optuna's ``RandomSampler`` does, prefers architectures with
    few active decisions. With ``space`` every architecture is equally likely; without, each
    parameter is drawn independently.

    It is the baseline of random search with the budget of the others (Li & Talwalkar, Random
    search and reproducibility for neural architecture search, UAI 2019).

    Example:

        >>> import optuna
        >>> from optuna_nas import CellSpace
        >>> from optuna_nas.samplers import RandomArchitectureSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = CellSpace()
        >>> sampler = RandomArchitectureSampler(space=space, seed=0)
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(lambda trial: len(set(space.suggest(trial).values())), n_trials=100)
        >>> len({space.canonical_key(space.architecture(t.params)) for t in study.trials})
        100

    Args:
        seed: Seed of the random numbers.
        space: Search space; see :class:`ArchitectureSampler`.
        prior: Probabilities from which architectures are drawn instead.
        constraints: Constraints that proposals keep if they can be checked without training.
    """

    def propose(self, history: History, domain: TrialDomain, rng: np.random.Generator) -> Params:
        """Draw at random."""
        return domain.sample(rng)

    def vary(
        self, params: Params, history: History, domain: TrialDomain, rng: np.random.Generator
    ) -> Params:
        """Draw again, so that the new architectures are equally likely."""
        return domain.sample(rng)


SAMPLER = RandomArchitectureSampler
