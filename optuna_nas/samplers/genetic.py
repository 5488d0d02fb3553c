"""A generational genetic algorithm as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from typing import Literal
import weakref

import numpy as np

from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.core import ArchitectureSampler
from optuna_nas.samplers.core import Crossover
from optuna_nas.samplers.core import Generations
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import one_point_crossover
from optuna_nas.samplers.core import Params
from optuna_nas.samplers.core import RankSelection
from optuna_nas.samplers.core import RouletteSelection
from optuna_nas.samplers.core import Selection
from optuna_nas.samplers.core import TournamentSelection
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.samplers.core import two_point_crossover
from optuna_nas.samplers.core import uniform_crossover
from optuna_nas.spaces import SearchSpace


class GeneticSampler(ArchitectureSampler):
    """Sampler with a generational genetic algorithm.

    The first ``population_size`` completed trials are the first population, whether they were
    drawn at random, enqueued or added. Each further trial is a child: two parents are selected,
    crossed over and mutated. A child that was evaluated before, or is being evaluated, is changed
    until it is new. After every ``population_size`` children, the best of them and of the elite
    become the next population.

    It works in any study: with one or several objectives, constraints (``trial.set_constraint``),
    conditional parameters, pruners, ``n_jobs`` and several processes. All state is in the study.

    Example:

        >>> import optuna
        >>> from optuna_nas import CellSpace
        >>> from optuna_nas.samplers import GeneticSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = CellSpace()
        >>> study = optuna.create_study(
        ...     direction="maximize", sampler=GeneticSampler(space=space, seed=0)
        ... )
        >>> study.optimize(
        ...     lambda trial: list(space.suggest(trial).values()).count("nor_conv_3x3"),
        ...     n_trials=100,
        ... )
        >>> study.best_value >= 5
        True

    Args:
        population_size: Size of a generation and of the population, at least 2.
        selection: ``"tournament"``, ``"rank"`` (linear ranking), ``"roulette"``, or any callable
            of a population, sorted from best to worst, and a generator, that returns the position
            of a parent.
        tournament_size: Individuals of a tournament, at least 1.
        crossover: ``"uniform"``, ``"one_point"``, ``"two_point"``, or any callable of the
            parameters of two parents, the ordered names and a generator, that returns the
            parameters of a child.
        crossover_prob: Probability that a child has two parents, in [0, 1]; else it is a mutated
            copy of one.
        mutation: Whether a parameter is drawn anew (``"redraw"``) or a number moves to a value
            next to it (``"step"``). Categorical choices are drawn anew in both, and continuous
            numbers change by polynomial mutation, with ``"step"`` by less.
        mutation_prob: Probability to change each parameter, in [0, 1]. By default 1 / number of
            parameters of the child. ``"adaptive"`` starts there and rises or falls, between a
            quarter and four times that, so that one child in five is a success.
        elite_size: How many individuals of a population may survive into the next; 0 replaces it
            wholly. By default all may.
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
        selection: Literal["tournament", "rank", "roulette"] | Selection = "tournament",
        tournament_size: int = 4,
        crossover: Literal["uniform", "one_point", "two_point"] | Crossover = "uniform",
        crossover_prob: float = 0.9,
        mutation: Literal["redraw", "step"] = "redraw",
        mutation_prob: float | Literal["adaptive"] | None = None,
        elite_size: int | None = None,
        seed: int | None = None,
        space: SearchSpace | None = None,
        prior: Prior | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        if population_size < 2:
            raise ValueError(
                f"Expected argument `population_size` to be at least 2 but got {population_size}."
            )
        _check_probability("crossover_prob", crossover_prob)
        if mutation not in ("redraw", "step"):
            raise ValueError(
                f'Expected argument `mutation` to be "redraw" or "step" but got {mutation!r}.'
            )
        if isinstance(mutation_prob, str):
            if mutation_prob != "adaptive":
                raise ValueError(
                    'Expected argument `mutation_prob` to be in [0, 1] or "adaptive" '
                    f"but got {mutation_prob!r}."
                )
        elif mutation_prob is not None:
            _check_probability("mutation_prob", mutation_prob)
        elite_size = population_size if elite_size is None else elite_size
        if not 0 <= elite_size <= population_size:
            raise ValueError(
                f"Expected argument `elite_size` to be in [0, {population_size}] "
                f"but got {elite_size}."
            )
        self._population_size = population_size
        self._elite_size = elite_size
        self._selection = _selection(selection, tournament_size)
        self._crossover = _crossover(crossover)
        self._crossover_prob = crossover_prob
        self._by_step = mutation == "step"
        self._mutation_prob = mutation_prob
        super().__init__(seed=seed, space=space, prior=prior, constraints=constraints)

    def _reset(self) -> None:
        super()._reset()
        self._generations: weakref.WeakKeyDictionary[History, Generations] = (
            weakref.WeakKeyDictionary()
        )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        del state["_generations"]
        return state

    def propose(self, history: History, domain: TrialDomain, rng: np.random.Generator) -> Params:
        """Draw at random in the first generation, then a child of two selected parents."""
        generations = self._generations.get(history)
        if generations is None:
            generations = Generations(self._population_size, self._elite_size)
            self._generations[history] = generations
        population = generations.current(history.individuals)
        if population is None:
            return domain.sample(rng)
        child = population[self._selection(population, rng)].params
        if rng.random() < self._crossover_prob:
            other = population[self._selection(population, rng)].params
            child = self._crossover(child, other, domain.names, rng)
        child = domain.complete(child, rng)
        rate = self._mutation_prob
        if isinstance(rate, str):
            rate = min(generations.mutation_scale / max(len(child), 1), 1.0)
        return domain.mutate(child, rate, rng, step=self._by_step)


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"Expected argument `{name}` to be in [0, 1] but got {value}.")


def _selection(selection: str | Selection, tournament_size: int) -> Selection:
    if callable(selection):
        return selection
    if selection == "tournament":
        return TournamentSelection(tournament_size)
    if selection == "rank":
        return RankSelection()
    if selection == "roulette":
        return RouletteSelection()
    raise ValueError(
        'Expected argument `selection` to be "tournament", "rank", "roulette" or a callable '
        f"but got {selection!r}."
    )


def _crossover(crossover: str | Crossover) -> Crossover:
    if callable(crossover):
        return crossover
    known = {
        "uniform": uniform_crossover,
        "one_point": one_point_crossover,
        "two_point": two_point_crossover,
    }
    if crossover not in known:
        raise ValueError(
            f"Expected argument `crossover` to be one of {list(known)} or a callable "
            f"but got {crossover!r}."
        )
    return known[crossover]


SAMPLER = GeneticSampler
