"""How often a trial is looked at, however long the study is and whatever shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
from optuna.pruners import HyperbandPruner
import pytest

from optuna_nas import CellSpace
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers import local_search as _local_search
from optuna_nas.samplers import LocalSearchSampler
from optuna_nas.samplers.core import _climb
from optuna_nas.samplers.core._domain import TrialDomain
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


# Local search.


@pytest.mark.parametrize("improvement", ["first", "best"])
def test_an_abandoned_trial_does_not_stop_the_climb(
    improvement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_steps = []
    for is_abandoned in (False, True):
        sampler = LocalSearchSampler(seed=0, space=CELL, improvement=improvement)  # type: ignore[arg-type]
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(count_convolutions, n_trials=5)
        if is_abandoned:
            CELL.suggest(study.ask())
        compared = counted(monkeypatch, _climb, "_better")
        study.optimize(count_convolutions, n_trials=80)
        n_steps.append(len(compared))
        monkeypatch.undo()
    assert n_steps[1] <= n_steps[0] + 40  # It was 30 times as many.


@pytest.mark.parametrize("improvement", ["first", "best"])
def test_a_late_trial_takes_the_climb_back(improvement: str) -> None:
    """Whether it completes, fails or is pruned, the climb is that of a sampler that saw no gap."""
    for value, state in [
        (5.5, optuna.trial.TrialState.COMPLETE),
        (None, optuna.trial.TrialState.FAIL),
        (None, optuna.trial.TrialState.PRUNED),
    ]:
        sampler = LocalSearchSampler(seed=0, space=CELL, improvement=improvement)  # type: ignore[arg-type]
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(count_convolutions, n_trials=12)
        late = study.ask()
        CELL.suggest(late)
        study.optimize(count_convolutions, n_trials=20)
        study.tell(late, value, state)
        study.optimize(count_convolutions, n_trials=3)
        fresh = LocalSearchSampler(seed=0, space=CELL, improvement=improvement)  # type: ignore[arg-type]
        other = optuna.create_study(direction="maximize", sampler=fresh)
        other.add_trials(study.trials)
        expected = other.ask(dict(CELL.distributions)).params
        assert study.ask(dict(CELL.distributions)).params == expected


def one_more_name(trial: optuna.Trial) -> float:
    return count_convolutions(trial) + trial.suggest_float(f"x_{trial.number}", 0, 1)


def test_the_model_of_local_search_knows_the_latest_names_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted = counted(monkeypatch, _local_search.AdditiveModel, "fit")
    computed = counted(monkeypatch, TrialDomain, "neighbors")
    study = optuna.create_study(
        direction="maximize", sampler=LocalSearchSampler(seed=0, space=CELL)
    )
    study.optimize(one_more_name, n_trials=260)
    n_columns = [args[1].shape[1] for args in fitted]
    # Of 100 trials; a name has two columns.
    assert max(n_columns[150:]) <= 30 + 2 * 101
    # Neighbours of a centre stay what they are.
    assert len(computed) <= len({trial.number for trial in study.trials}) / 2
