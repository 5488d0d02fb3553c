"""Decisions of every search space: membership, completion, and trials."""

from __future__ import annotations

from typing import Any

from hypothesis import given
import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler
from optuna.trial import FixedTrial
from optuna.trial import Trial
import pytest

from optuna_nas import Architecture
from optuna_nas import CustomSpace
from optuna_nas import SearchSpace
from tests.optuna_nas.spaces.space_table import choices
from tests.optuna_nas.spaces.space_table import draw
from tests.optuna_nas.spaces.space_table import EXAMPLES
from tests.optuna_nas.spaces.space_table import SEEDS
from tests.optuna_nas.spaces.space_table import SPACES


all_spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_samples_are_members_with_the_active_decisions_in_order(
    space: SearchSpace, seed: int
) -> None:
    architecture = draw(space, seed)
    assert space.contains(architecture)
    assert architecture.space == space.name
    expected: dict[str, Any] = {}
    for name, distribution in space.distributions.items():
        if space.is_active(name, expected):
            assert architecture[name] in choices(distribution)
            expected[name] = architecture[name]
    assert list(architecture.items()) == list(expected.items())


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_architecture_ignores_the_order_and_other_names(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    params = dict(reversed(list(architecture.items()))) | {"learning_rate": 0.1}
    again = space.architecture(params)
    assert again == architecture
    assert list(again) == list(architecture)


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_encodings_do_not_depend_on_the_order_of_params(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    reordered = Architecture(space.name, dict(reversed(list(architecture.items()))))
    assert reordered == architecture
    assert space.contains(reordered)
    assert list(space.require_member(reordered)) == list(architecture)
    assert space.to_string(reordered) == space.to_string(architecture)
    assert space.to_json(reordered) == space.to_json(architecture)
    assert space.canonical_key(reordered) == space.canonical_key(architecture)
    assert space.to_vector(reordered).tolist() == space.to_vector(architecture).tolist()
    assert list(space.to_graph(reordered).nodes(data=True)) == list(
        space.to_graph(architecture).nodes(data=True)
    )
    assert set(space.neighbors(reordered)) == set(space.neighbors(architecture))


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_what_is_no_member(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    for name in architecture:
        missing = {key: choice for key, choice in architecture.items() if key != name}
        for params in (missing, {**architecture, name: "no such choice"}):
            assert not space.contains(Architecture(space.name, params))
            with pytest.raises(ValueError, match="^Expected"):
                space.architecture(params)
    assert not space.contains(Architecture("another", dict(architecture)))
    assert not space.contains(Architecture(space.name, {**architecture, "unknown": 1}))
    with pytest.raises(ValueError, match="an architecture of search space .* but got Arch"):
        space.require_member(Architecture("another", dict(architecture)))
    with pytest.raises(ValueError, match=r"active decisions .* but got \['unknown'\] beside"):
        space.require_member(Architecture(space.name, {**architecture, "unknown": 1}))
    with pytest.raises(ValueError, match="an architecture of search space .* but got {"):
        space.to_string(dict(architecture))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [99, -1, 2.5, "2", None, float("nan"), float("inf"), 10**400])
def test_numbers_out_of_the_space(value: Any) -> None:
    space = CustomSpace({"depth": IntDistribution(1, 3)})
    with pytest.raises(ValueError, match=r"decision `depth` .* one of \[1, 2, 3\] but got"):
        space.architecture({"depth": value})


def test_the_sentence_names_a_long_range() -> None:
    space = CustomSpace({"width": IntDistribution(10, 1000, step=10)})
    with pytest.raises(ValueError, match=r"one of 10 to 1000 \(100 choices\) but got 11\."):
        space.architecture({"width": 11})


def test_numpy_numbers_and_inexact_floats_become_the_choice() -> None:
    space = SPACES["custom-numerical"]
    params = dict(space.complete({})) | {
        "channels": np.int64(3),
        "offset": 1.0,
        "rate": 0.1 + 0.2,
        "shift": np.float64(0.1),
    }
    architecture = space.architecture(params)
    assert [architecture[name] for name in params] == [3, 1, 0.3, 0.1, 7, 1e-09]
    assert [type(choice) for choice in architecture.values()] == [int, int, float, float] + [
        int,
        float,
    ]
    with pytest.raises(ValueError, match="`small`"):
        space.architecture(params | {"small": 1.4e-09})


@all_spaces
def test_complete_takes_the_middle_choice(space: SearchSpace) -> None:
    architecture = space.complete({})
    assert space.contains(architecture)
    for name, choice in architecture.items():
        values = choices(space.distributions[name])
        assert choice == values[(len(values) - 1) // 2]
    assert space.complete(architecture) == architecture


def test_complete_refuses_what_is_no_choice() -> None:
    with pytest.raises(ValueError, match=r"`depth` .* one of \[1, 2, 3, 4, 5, 6\] but got 99"):
        SPACES["chain"].complete({"depth": 99})


@all_spaces
@pytest.mark.parametrize("make_sampler", [RandomSampler, TPESampler])
def test_suggest_in_a_study(space: SearchSpace, make_sampler: type[BaseSampler]) -> None:
    suggested = []

    def objective(trial: Trial) -> float:
        architecture = space.suggest(trial)
        assert trial.params.keys() == architecture.keys()
        assert space.contains(architecture)
        assert space.architecture(trial.params) == architecture
        suggested.append(architecture)
        return float(len(space.to_string(architecture)))

    study = optuna.create_study(sampler=make_sampler(seed=0))  # type: ignore[call-arg]
    study.optimize(objective, n_trials=15)
    assert [space.architecture(trial.params) for trial in study.trials] == suggested
    assert all(space.distributions[n] == d for n, d in study.trials[0].distributions.items())


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_suggest_from_a_fixed_trial(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    trial = FixedTrial(dict(architecture))
    assert space.suggest(trial) == architecture
    assert trial.params == dict(architecture)


@all_spaces
def test_suggest_what_was_enqueued(space: SearchSpace) -> None:
    architecture = draw(space, 3)
    study = optuna.create_study()
    study.enqueue_trial(dict(architecture))
    assert space.suggest(study.ask()) == architecture


@pytest.mark.filterwarnings("ignore:Fixed parameter")
def test_suggest_refuses_an_enqueued_value_out_of_range() -> None:
    space = SPACES["chain"]
    study = optuna.create_study()
    study.enqueue_trial({"depth": 40})
    with pytest.raises(ValueError, match="`depth` .* but got 40"):
        space.suggest(study.ask())


def test_suggest_turns_an_enqueued_float_into_the_choice() -> None:
    space = SPACES["custom-categorical"]
    params = dict(space.complete({})) | {"expansion": 4.0}
    study = optuna.create_study()
    study.enqueue_trial(params)
    architecture = space.suggest(study.ask())
    assert architecture["expansion"] == 4
    assert type(architecture["expansion"]) is int


@all_spaces
def test_distributions_are_read_only(space: SearchSpace) -> None:
    with pytest.raises(TypeError):
        space.distributions["new"] = IntDistribution(0, 1)  # type: ignore[index]
