"""How often a trial is looked at, however long the study is and whatever shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
from optuna.pruners import HyperbandPruner
import pytest

from optuna_nas import CellSpace
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers.core._history import History


CELL = CellSpace()


def count_convolutions(trial: optuna.Trial) -> float:
    return list(CELL.suggest(trial).values()).count("nor_conv_3x3")


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """Record the arguments of every call of a method."""
    calls: list[Any] = []
    original = getattr(owner, name)

    def record(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, record)
    return calls


def reporting(trial: optuna.Trial) -> float:
    value = count_convolutions(trial)
    for step in range(4):
        trial.report(value * step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


@pytest.mark.parametrize("n_trials", [30, 90])
def test_under_hyperband_each_trial_is_folded_once(
    n_trials: int, make: Callable[..., ArchitectureSampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    folded = counted(monkeypatch, History, "_add")
    pruner = HyperbandPruner(min_resource=1, max_resource=4)
    study = optuna.create_study(
        direction="maximize", sampler=make(seed=0, space=CELL), pruner=pruner
    )
    study.optimize(reporting, n_trials=n_trials)
    # Until the pruner has made its brackets, it shows the whole study.
    assert len(folded) < 2 * n_trials


def test_what_is_known_of_a_bracket_is_what_a_fresh_sampler_reads(
    make: Callable[..., ArchitectureSampler],
) -> None:
    proposed = []
    for is_fresh in (False, True):
        pruner = HyperbandPruner(min_resource=1, max_resource=4)
        study = optuna.create_study(
            study_name="one",  # The brackets depend on it.
            direction="maximize",
            sampler=make(seed=3, space=CELL),
            pruner=pruner,
        )
        for _ in range(45):
            study.optimize(reporting, n_trials=1)
            if is_fresh:
                study.sampler = make(seed=3, space=CELL)
        proposed.append([trial.params for trial in study.trials])
    assert proposed[0] == proposed[1]
