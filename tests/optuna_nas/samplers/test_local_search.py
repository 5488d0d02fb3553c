"""Local search: what its model reads, and how it leaves an optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial
import pytest

from optuna_nas import CellSpace
from optuna_nas.samplers import local_search as _local_search
from optuna_nas.samplers import LocalSearchSampler
from optuna_nas.samplers.core._domain import TrialDomain


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


def cell_with(
    params: dict[str, object], seed: int = 0, value: float = 1.0
) -> optuna.trial.FrozenTrial:
    known = {"note": FloatDistribution(0, 1), "rate": FloatDistribution(0, 1)}
    return create_trial(
        params={**CELL.sample(np.random.default_rng(seed)), **params},
        distributions={**CELL.distributions, **{name: known[name] for name in params}},
        value=value,
    )


def test_local_search_leaves_an_added_optimum_with_a_foreign_parameter() -> None:
    """It climbs on as if the parameter were not there, and restarts."""
    seen = []
    for extra in ({}, {"note": 0.5}):
        study = optuna.create_study(
            direction="maximize", sampler=LocalSearchSampler(seed=0, space=CELL, n_initial=3)
        )
        study.add_trial(cell_with(extra, value=9.0))  # Better than anything near it.
        study.optimize(lambda t: len(set(CELL.suggest(t).values())), n_trials=60)
        seen.append([{k: t.params[k] for k in CELL.distributions} for t in study.trials])
    assert seen[0][2:] == seen[1][2:]


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"n_initial": 0}, "`n_initial` to be at least 1 but got 0"),
        (
            {"improvement": "last"},
            r"`improvement` to be one of .* but got 'last'",
        ),
        ({"order": "any"}, r"`order` to be one of .* but got 'any'"),
    ],
)
def test_wrong_arguments(kwargs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        LocalSearchSampler(**kwargs)
