"""Invariants of every search space: size, sampling, neighbors, keys, and copies."""

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
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
import pytest
from scipy.stats import chisquare

from optuna_nas import Architecture
from optuna_nas import ChainSpace
from optuna_nas import SearchSpace
from tests.optuna_nas.spaces.space_table import draw
from tests.optuna_nas.spaces.space_table import enumerate_params
from tests.optuna_nas.spaces.space_table import EXAMPLES
from tests.optuna_nas.spaces.space_table import SEEDS
from tests.optuna_nas.spaces.space_table import SMALL
from tests.optuna_nas.spaces.space_table import SPACES


all_spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
small_spaces = pytest.mark.parametrize("space", [SPACES[name] for name in SMALL], ids=SMALL)


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
