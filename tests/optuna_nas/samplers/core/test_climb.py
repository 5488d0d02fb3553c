"""A hill climb follows the trials, whenever they finish."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from optuna_nas import CellSpace
from optuna_nas.samplers import LocalSearchSampler
from optuna_nas.samplers.core import _climb


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
