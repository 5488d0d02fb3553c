"""Parameters that somebody else fixes: a wrapper of Optuna, or whoever enqueues a trial."""

from __future__ import annotations

from collections.abc import Callable
import warnings

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import PartialFixedSampler
import pytest

from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers import LocalSearchSampler


CELL = CellSpace()
CHAIN = ChainSpace()


def partially_fixed(params: dict[str, object], sampler: ArchitectureSampler) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        wrapped = PartialFixedSampler(params, sampler)
    return optuna.create_study(direction="maximize", sampler=wrapped)


def count_convolutions(trial: optuna.Trial) -> float:
    return list(CELL.suggest(trial).values()).count("nor_conv_3x3")


def test_partial_fixed_sampler_keeps_its_values(make: Callable[..., ArchitectureSampler]) -> None:
    fixed = {"edge_0_1": "avg_pool_3x3", "edge_2_3": "nor_conv_1x1"}
    study = partially_fixed(fixed, make(seed=0, space=CELL))
    study.optimize(count_convolutions, n_trials=40)
    assert all(fixed.items() <= trial.params.items() for trial in study.trials)
    keys = [CELL.canonical_key(CELL.architecture(trial.params)) for trial in study.trials]
    assert len(set(keys)) == 40


def test_fixed_values_decide_which_decisions_are_proposed(
    make: Callable[..., ArchitectureSampler],
) -> None:
    """If the fixed depth were not known, some of its layers would be drawn independently."""
    study = partially_fixed({"depth": 6, "unknown": 1}, make(seed=0, space=CHAIN))
    for _ in range(25):
        trial = study.ask()
        architecture = CHAIN.suggest(trial)
        assert architecture["depth"] == 6
        assert {*(trial.relative_params or {}), "depth"} == set(architecture)
        study.tell(trial, list(architecture.values()).count(64))


def test_partial_fixed_sampler_without_a_space(make: Callable[..., ArchitectureSampler]) -> None:
    study = partially_fixed({"a": 2}, make(seed=0))
    study.optimize(
        lambda trial: trial.suggest_int("a", 0, 3) + trial.suggest_int("b", 0, 9), n_trials=9
    )
    assert {trial.params["a"] for trial in study.trials} == {2}
    assert len({trial.params["b"] for trial in study.trials}) == 9


def test_everything_fixed_but_one_is_searched(make: Callable[..., ArchitectureSampler]) -> None:
    fixed = {name: "nor_conv_3x3" for name in CELL.distributions if name != "edge_0_3"}
    study = partially_fixed(fixed, make(seed=0, space=CELL))
    study.optimize(count_convolutions, n_trials=5)
    assert study.best_value == 6


def test_a_search_near_fixed_values_starts_from_trials_without_them() -> None:
    study = optuna.create_study(
        direction="maximize", sampler=LocalSearchSampler(seed=0, space=CELL, n_initial=5)
    )
    study.optimize(count_convolutions, n_trials=60)
    assert study.best_value == 6
    fixed = {"edge_0_1": "avg_pool_3x3", "edge_0_3": "none"}
    later = partially_fixed(fixed, LocalSearchSampler(seed=1, space=CELL, n_initial=5))
    later.add_trials(study.trials)
    later.optimize(count_convolutions, n_trials=10)
    assert max(trial.value or 0 for trial in later.trials[60:]) >= 3


def test_an_enqueued_value_that_is_no_choice_is_refused_by_the_space(
    make: Callable[..., ArchitectureSampler],
) -> None:
    space = CustomSpace({name: CategoricalDistribution((1, 2, 3)) for name in "ab"})
    study = optuna.create_study(sampler=make(seed=0, space=space))
    study.optimize(lambda trial: len(space.suggest(trial)), n_trials=3)
    study.enqueue_trial({"a": 9})
    with pytest.raises(ValueError, match="9"):
        study.optimize(lambda trial: len(space.suggest(trial)), n_trials=1)
