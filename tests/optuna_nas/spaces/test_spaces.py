"""Invariants of every search space: membership, size, sampling, neighbors, trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
import copy
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler
from optuna.trial import FixedTrial
from optuna.trial import Trial
import pytest
from scipy.stats import chisquare

from optuna_nas import Architecture
from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas import SearchSpace
from tests.optuna_nas.spaces.space_table import choices
from tests.optuna_nas.spaces.space_table import draw
from tests.optuna_nas.spaces.space_table import enumerate_params
from tests.optuna_nas.spaces.space_table import EXAMPLES
from tests.optuna_nas.spaces.space_table import SEEDS
from tests.optuna_nas.spaces.space_table import SMALL
from tests.optuna_nas.spaces.space_table import SPACES


all_spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
small_spaces = pytest.mark.parametrize("space", [SPACES[name] for name in SMALL], ids=SMALL)


# Membership.


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


# Size and numbering.


@small_spaces
def test_size_is_that_of_an_enumeration(space: SearchSpace) -> None:
    assert space.size == len(enumerate_params(space))


@small_spaces
def test_architecture_at_is_a_bijection(space: SearchSpace) -> None:
    numbered = [space.architecture_at(index) for index in range(space.size)]
    assert len(set(numbered)) == space.size
    assert [dict(architecture) for architecture in numbered] == enumerate_params(space)


@all_spaces
def test_architecture_at_takes_the_indices_of_the_space(space: SearchSpace) -> None:
    last = space.size - 1
    assert space.contains(space.architecture_at(last))
    assert space.architecture_at(np.int64(0)) == space.architecture_at(0)  # type: ignore[arg-type]
    for index in (-1, space.size, 10**100):
        with pytest.raises(ValueError, match=rf"`index` to be in \[0, {space.size}\) but got"):
            space.architecture_at(index)


@all_spaces
@EXAMPLES
@given(data=st.data())
def test_architecture_at_gives_different_members(space: SearchSpace, data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, space.size - 1), min_size=2, max_size=5))
    architectures = {space.architecture_at(index) for index in indices}
    assert len(architectures) == len(set(indices))
    assert all(space.contains(architecture) for architecture in architectures)


@small_spaces
def test_samples_are_uniform_over_architectures(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    counts = Counter(space.sample(rng) for _ in range(10 * space.size))
    observed = [counts[space.architecture_at(index)] for index in range(space.size)]
    assert sum(observed) == 10 * space.size
    if space.size > 1:
        assert chisquare(observed).pvalue > 1e-3


def test_samples_of_a_large_space_are_uniform_in_the_index() -> None:
    space = SPACES["chain-large"]
    assert 10**18 < space.size < 10**19
    rng = np.random.default_rng(0)
    depths = Counter(space.sample(rng)["depth"] for _ in range(2000))
    # Of depth d there are 10^d chains (times 13 dense parts): nine of ten are of full depth.
    assert abs(depths[17] / 2000 - 0.9) < 0.03


@all_spaces
def test_sample_is_a_function_of_the_generator(space: SearchSpace) -> None:
    assert draw(space, 5) == draw(space, 5)
    if space.size > 100:
        assert len({draw(space, seed) for seed in range(10)}) > 5


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"max_depth": 1, "max_dense_depth": 0},
        {"max_depth": 17},
        {"max_depth": 60, "max_dense_depth": 9, "pool_sizes": (2, 3, 4), "poolings": ("max",)},
    ],
)
def test_size_of_chains_in_closed_form(arguments: dict[str, Any]) -> None:
    space = ChainSpace(**arguments)
    default: dict[str, Any] = {
        "max_depth": 6,
        "filters": (8, 16, 32, 64),
        "kernel_sizes": (3, 5),
        "poolings": ("max", "avg"),
        "pool_sizes": (2,),
        "max_dense_depth": 2,
        "units": (32, 64, 128),
    }
    a = default | arguments
    layer = len(a["filters"]) * len(a["kernel_sizes"]) + len(a["poolings"]) * len(a["pool_sizes"])
    convolutional = sum(layer**depth for depth in range(1, a["max_depth"] + 1))
    dense = sum(len(a["units"]) ** depth for depth in range(a["max_dense_depth"] + 1))
    assert space.size == convolutional * dense


# Neighbors.


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_neighbors_are_other_members(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    neighbors = space.neighbors(architecture)
    assert all(space.contains(neighbor) for neighbor in neighbors)
    assert architecture not in neighbors
    assert len(set(neighbors)) == len(neighbors)


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_neighbors_change_each_decision_by_one_step(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    neighbors = space.neighbors(architecture)
    assert neighbors == space.neighbors(architecture)
    expected = 0
    for name, choice in architecture.items():
        distribution = space.distributions[name]
        if isinstance(distribution, CategoricalDistribution):
            expected += len(distribution.choices) - 1
        else:
            assert isinstance(choice, int | float)
            expected += (choice > distribution.low) + (choice < distribution.high)  # type: ignore
    assert len(neighbors) == expected
    # The first decision that differs is the changed one; what follows from it comes later.
    for neighbor in neighbors:
        changed = [n for n in architecture if n in neighbor and neighbor[n] != architecture[n]]
        assert len(changed) == 1


@small_spaces
def test_neighbors_reach_the_whole_space(space: SearchSpace) -> None:
    reached = frontier = {space.complete({})}
    while frontier:
        frontier = {n for architecture in frontier for n in space.neighbors(architecture)}
        frontier -= reached
        reached = reached | frontier
    assert len(reached) == space.size


def test_neighbors_of_no_member() -> None:
    with pytest.raises(ValueError, match="`depth`"):
        SPACES["chain"].neighbors(Architecture("chain", {}))


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


# Canonical keys.


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_canonical_key_is_deterministic(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    key = space.canonical_key(architecture)
    assert key == space.canonical_key(architecture)
    assert key == copy.deepcopy(space).canonical_key(space.from_json(space.to_json(architecture)))


@all_spaces
def test_canonical_key_of_no_member(space: SearchSpace) -> None:
    with pytest.raises(ValueError, match="^Expected"):
        space.canonical_key(Architecture("another", {}))


# Trials.


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


# Copies and threads.


@all_spaces
def test_spaces_pickle_and_copy_before_and_after_use(space: SearchSpace) -> None:
    architecture = draw(space, 1)
    for twin in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert twin.size == space.size
        assert draw(twin, 1) == architecture
        assert twin.contains(architecture)


def test_threads_may_share_a_fresh_space() -> None:
    space = ChainSpace(max_depth=25)
    with ThreadPoolExecutor(8) as pool:
        architectures = list(pool.map(lambda seed: draw(space, seed), [7] * 16))
    assert set(architectures) == {draw(ChainSpace(max_depth=25), 7)}


# A user's own subclass.


class _Subclass(SearchSpace):
    """The least that a subclass has to give."""

    @property
    def name(self) -> str:
        return "own"

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        return {"a": IntDistribution(0, 1), "b": CategoricalDistribution(("x", "y", "z"))}

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        return name == "a" or params["a"] == 1


def test_a_subclass_gets_everything_from_two_properties_and_a_condition() -> None:
    space = _Subclass()
    assert space.size == 4
    architectures = [space.architecture_at(index) for index in range(4)]
    for architecture in architectures:
        assert space.from_string(space.to_string(architecture)) == architecture
        assert space.from_graph(space.to_graph(architecture)) == architecture
        assert space.from_vector(space.to_vector(architecture)) == architecture
    assert [space.canonical_key(a) for a in architectures] == [
        "a=0",
        "a=1,b=x",
        "a=1,b=y",
        "a=1,b=z",
    ]


def test_the_base_class_has_unconditional_decisions() -> None:
    assert SearchSpace.is_active(_Subclass(), "b", {"a": 0})


def test_the_base_class_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        SearchSpace()  # type: ignore[abstract]


@all_spaces
def test_distributions_are_read_only(space: SearchSpace) -> None:
    with pytest.raises(TypeError):
        space.distributions["new"] = IntDistribution(0, 1)  # type: ignore[index]
