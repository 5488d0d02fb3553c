"""Trials that were pruned because they break a constraint which only the objective knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState
import pytest

from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import Constraint
from optuna_nas import CustomSpace
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers import GeneticSampler
from optuna_nas.samplers import LocalSearchSampler
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.samplers import ReinforceSampler


WIDTHS = (1, 2, 3, 4, 5)
WIDE = CustomSpace({f"width_{i}": CategoricalDistribution(WIDTHS) for i in range(12)})
FEW = Constraint("total", upper=26, function=lambda widths: sum(widths.values()))
"""3% of the architectures keep it, but no sampler is told of it."""
SEARCHING: dict[str, Callable[..., ArchitectureSampler]] = {
    "genetic": GeneticSampler,
    "genetic-roulette": lambda **kwargs: GeneticSampler(
        selection="roulette", mutation_prob="adaptive", **kwargs
    ),
    "regularized-evolution": RegularizedEvolutionSampler,
    "local-search": LocalSearchSampler,
    "local-search-best": lambda **kwargs: LocalSearchSampler(improvement="best", **kwargs),
    "local-search-random": lambda **kwargs: LocalSearchSampler(order="random", **kwargs),
}


def last_widths(architecture: Architecture, *, report: Any = None) -> dict[str, float]:
    return {"value": float(architecture["width_0"] + architecture["width_11"])}


def n_feasible(sampler: optuna.samplers.BaseSampler) -> int:
    study = optuna.create_study(direction="maximize", sampler=sampler)
    objective = ArchitectureObjective(WIDE, last_widths, objectives=["value"], constraints=[FEW])
    study.optimize(objective, n_trials=100)
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    keys = {WIDE.canonical_key(WIDE.architecture(trial.params)) for trial in complete}
    assert len(keys) == len(complete)
    return len(complete)


@pytest.mark.parametrize("name", list(SEARCHING))
def test_feasible_architectures_are_found_by_what_was_pruned(name: str) -> None:
    found = [n_feasible(SEARCHING[name](seed=seed, space=WIDE)) for seed in range(3)]
    # By chance 3 of 100; what TPE finds is in examples/benchmarks/constrained_feasible.py.
    assert np.mean(found) > (25 if name.startswith("local-search") else 55)


@pytest.mark.parametrize("name", list(SEARCHING))
def test_pruned_violations_count_without_a_space_and_with_two_objectives(name: str) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = (trial.suggest_int(name, 0, 99) for name in "xy")
        trial.set_constraint("both", 170 - x - y)
        if x + y < 170:
            raise optuna.TrialPruned
        return x, -y

    found = []
    for seed in range(3):
        study = optuna.create_study(
            directions=["minimize", "minimize"], sampler=SEARCHING[name](seed=seed)
        )
        study.optimize(objective, n_trials=80)
        found.append(len(study.get_trials(states=(TrialState.COMPLETE,))))
    assert np.mean(found) > 15  # By chance 4 of 80.


def test_a_controller_learns_what_is_feasible() -> None:
    found = [n_feasible(ReinforceSampler(seed=seed, space=WIDE)) for seed in range(4)]
    assert np.mean(found) > 15
