"""Regularized (aging) evolution, steady state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.core import ArchitectureSampler
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import Params
from optuna_nas.samplers.core import Population
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.spaces import SearchSpace


class RegularizedEvolutionSampler(ArchitectureSampler):
    """Sampler with regularized evolution: the oldest dies, not the worst.

    The population is the last ``population_size`` completed trials. The best of a random sample of
    it is copied, and one parameter of the copy is changed. As every completed trial changes the
    population at once, no worker of a parallel study waits for another.

    Source: Real et al., Regularized evolution for image classifier architecture search, AAAI 2019,
    algorithm 1. With several objectives, the best of the sample is the first by non-dominated rank
    and crowding distance.

    Example:

        >>> import optuna
        >>> from optuna_nas import CellSpace
        >>> from optuna_nas.samplers import RegularizedEvolutionSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = CellSpace()
        >>> sampler = RegularizedEvolutionSampler(space=space, seed=0)
        >>> study = optuna.create_study(direction="maximize", sampler=sampler)
        >>> study.optimize(
        ...     lambda trial: list(space.suggest(trial).values()).count("nor_conv_3x3"),
        ...     n_trials=100,
        ... )
        >>> study.best_value >= 5
        True

    Args:
        population_size: Number of living architectures, at least 2. The same number is drawn at
            random first.
        sample_size: Number of architectures of which the best is the parent, in
            [1, ``population_size``].
        seed: Seed of the random numbers.
        space: Search space; see :class:`ArchitectureSampler`.
        prior: Probabilities from which the first population and mutations are drawn.
        constraints: Constraints that proposals keep if they can be checked without training.

    Raises:
        ValueError: If an argument is out of its range.
    """

    _foresees = True

    def __init__(
        self,
        *,
        population_size: int = 10,
        sample_size: int = 10,
        seed: int | None = None,
        space: SearchSpace | None = None,
        prior: Prior | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        if population_size < 2:
            raise ValueError(
                f"Expected argument `population_size` to be at least 2 but got {population_size}."
            )
        if not 1 <= sample_size <= population_size:
            raise ValueError(
                f"Expected argument `sample_size` to be in [1, {population_size}] "
                f"but got {sample_size}."
            )
        self._population_size = population_size
        self._sample_size = sample_size
        super().__init__(seed=seed, space=space, prior=prior, constraints=constraints)

    def propose(self, history: History, domain: TrialDomain, rng: np.random.Generator) -> Params:
        """Mutate the best of a sample of the living."""
        living = history.individuals[-self._population_size :]
        if len(living) < self._population_size:
            return domain.sample(rng)
        chosen = rng.choice(len(living), size=self._sample_size, replace=False)
        parent = Population([living[i] for i in chosen])[0]
        return domain.mutate_one(domain.complete(parent.params, rng), rng)


SAMPLER = RegularizedEvolutionSampler
