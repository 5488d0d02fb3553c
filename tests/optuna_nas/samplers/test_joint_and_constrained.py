"""Samplers beside and beyond the architecture: other parameters, constraints, huge spaces."""

from __future__ import annotations

from collections.abc import Callable
import math
import time
import warnings

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import Constraint
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers import GeneticSampler
from optuna_nas.samplers import LocalSearchSampler
from optuna_nas.samplers import RandomArchitectureSampler
from optuna_nas.samplers import RegularizedEvolutionSampler


LEARNING: dict[str, Callable[..., ArchitectureSampler]] = {
    "genetic": GeneticSampler,
    "genetic-step": lambda **kwargs: GeneticSampler(
        mutation="step", mutation_prob="adaptive", crossover="two_point", **kwargs
    ),
    "regularized-evolution": RegularizedEvolutionSampler,
    "local-search": LocalSearchSampler,
}
SAMPLERS: dict[str, Callable[..., ArchitectureSampler]] = {
    **LEARNING,
    "random-architecture": RandomArchitectureSampler,
}

CELL = CellSpace()


def convolutions(architecture: Architecture) -> int:
    return list(architecture.values()).count("nor_conv_3x3")


def keys(study: optuna.Study) -> list[str]:
    return [CELL.canonical_key(CELL.architecture(t.params)) for t in study.trials]


# Joint search.

JOINT: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "momentum": FloatDistribution(0, 1),
    "dropout": FloatDistribution(0, 0.5, step=0.05),
    "epochs": IntDistribution(1, 100),
    "batch_size": IntDistribution(16, 256, step=16),
    "width": IntDistribution(1, 1024, log=True),
}


def joint_objective(trial: optuna.Trial) -> float:
    """The fewer, the better: off by so much from the best in each of seven respects."""
    architecture = CELL.suggest(trial)
    off = 1 - convolutions(architecture) / 6
    off += abs(math.log10(trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)) + 2) / 3
    off += abs(trial.suggest_float("momentum", 0, 1) - 0.9)
    off += trial.suggest_float("dropout", 0, 0.5, step=0.05) * 2
    off += abs(trial.suggest_int("epochs", 1, 100) - 80) / 100
    off += abs(trial.suggest_int("batch_size", 16, 256, step=16) - 64) / 256
    return off + abs(math.log2(trial.suggest_int("width", 1, 1024, log=True)) - 7) / 10


@pytest.mark.parametrize("name", list(LEARNING))
def test_all_kinds_of_parameters_are_searched_with_the_architecture(name: str) -> None:
    found, drawn = [], []
    for seed in range(5):
        for make, values in ((LEARNING[name], found), (RandomArchitectureSampler, drawn)):
            study = optuna.create_study(sampler=make(seed=seed, space=CELL))
            study.optimize(joint_objective, n_trials=150)
            values.append(study.best_value)
            for trial in study.trials:
                assert CELL.contains(CELL.architecture(trial.params))
                for parameter, distribution in JOINT.items():
                    value = trial.params[parameter]
                    assert distribution._contains(distribution.to_internal_repr(value))
    assert np.mean(found) < np.mean(drawn) - 0.2


@pytest.mark.parametrize("name", list(LEARNING))
def test_continuous_parameters_alone_are_searched_without_a_space(name: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        return math.hypot(trial.suggest_float("x", -1, 1) - 0.5, trial.suggest_float("y", -1, 1))

    found = []
    for seed in range(5):
        study = optuna.create_study(sampler=LEARNING[name](seed=seed))
        study.optimize(objective, n_trials=120)
        found.append(study.best_value)
    assert np.mean(found) < 0.06  # 120 random points: 0.09.


# Constraints.


def count_or_fail(trial: optuna.Trial) -> float:
    return float(len(set(CELL.suggest(trial).values())))


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_only_feasible_architectures_are_proposed(name: str) -> None:
    few = Constraint("convolutions", upper=2, function=convolutions)
    some = Constraint("convolutions", lower=1, function=convolutions)
    measured = Constraint("latency_ms", upper=0)  # Without a function: not for the sampler.
    sampler = SAMPLERS[name](seed=0, space=CELL, constraints=[few, some, measured])
    study = optuna.create_study(direction="maximize", sampler=sampler)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.optimize(count_or_fail, n_trials=80)
    assert all(1 <= convolutions(CELL.architecture(t.params)) <= 2 for t in study.trials)
    assert len(set(keys(study))) == 80


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_a_tight_constraint_is_met_from_the_first_trial_on(name: str) -> None:
    # 6 * 4 + 1 of 15,625 cells: 0.16 %.
    many = Constraint("convolutions", lower=5, function=convolutions)
    study = optuna.create_study(sampler=SAMPLERS[name](seed=0, space=CELL, constraints=[many]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        started = time.process_time()
        study.optimize(count_or_fail, n_trials=12)
    assert all(convolutions(CELL.architecture(t.params)) >= 5 for t in study.trials)
    assert len(set(keys(study))) == 12
    assert time.process_time() - started < 10


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_one_warning_and_the_least_violating_where_nothing_is_feasible(name: str) -> None:
    impossible = Constraint("convolutions", lower=7, function=convolutions)
    study = optuna.create_study(
        sampler=SAMPLERS[name](seed=0, space=CELL, constraints=[impossible])
    )
    with pytest.warns(UserWarning, match="found no architecture that keeps the cons") as caught:
        study.optimize(count_or_fail, n_trials=8)
    ours = [w for w in caught if "keeps the constraints" in str(w.message)]
    assert len(ours) == 1
    # One cell has 6 convolutions and 24 have 5; nothing else violates as little.
    counts = [convolutions(CELL.architecture(t.params)) for t in study.trials]
    assert min(counts) >= 4
    assert np.mean(counts) >= 5
    assert len(set(keys(study))) == 8


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_cheap_constraints_need_a_space(name: str) -> None:
    few = Constraint("convolutions", upper=3, function=convolutions)
    with pytest.raises(ValueError, match=r"`space` to be given, .*convolutions<=3.* but got None"):
        SAMPLERS[name](constraints=[few])
    SAMPLERS[name](constraints=[Constraint("latency_ms", upper=3)])


# Huge spaces.


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_a_space_of_10_to_the_18_architectures_is_as_fast(name: str) -> None:
    small = ChainSpace(max_depth=17, filters=(8,), kernel_sizes=(3,))
    huge = ChainSpace(max_depth=17)
    assert huge.size > 10**18
    assert small.size < 10**10
    seconds = []
    for space in (small, huge):

        def depth(trial: optuna.Trial, space: ChainSpace = space) -> float:
            return float(space.suggest(trial)["depth"])

        study = optuna.create_study(sampler=SAMPLERS[name](seed=0, space=space))
        turns = []
        for _ in range(4):
            started = time.process_time()
            study.optimize(depth, n_trials=15)
            turns.append(time.process_time() - started)
        seconds.append(min(turns[1:]))
        found = {space.canonical_key(space.architecture(t.params)) for t in study.trials}
        assert len(found) == 60
    assert seconds[1] < 3 * seconds[0]
