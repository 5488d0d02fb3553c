"""Sub-spaces: what they hold, that the base understands them, and what they refuse."""

from __future__ import annotations

import pickle

import numpy as np
import optuna
import pytest

from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas import GeneticSampler
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.spaces import SubSpace
from tests.optuna_nas.spaces.space_table import enumerate_params
from tests.optuna_nas.spaces.space_table import SPACES


CHAIN = ChainSpace()
SMALL = SPACES["chain-small"]
NESTED = SPACES["custom-nested"]


@pytest.mark.parametrize(
    ("space", "decisions"),
    [
        (SMALL, {"depth": 1}),
        (SMALL, {"layer_2_type": "pool"}),
        (SMALL, {"layer_1_filters": 8, "dense_depth": 1}),
        (NESTED, {"heads": 1}),
        (NESTED, {"kind": "conv"}),
        (NESTED, {}),
    ],
)
def test_members_are_those_of_the_base_with_the_values(
    space: SearchSpace, decisions: dict[str, str | int]
) -> None:
    frozen = space.freeze(decisions)
    expected = [
        params
        for params in enumerate_params(space)
        if all(params.get(name, value) == value for name, value in decisions.items())
    ]
    assert frozen.size == len(expected) <= space.size
    assert {frozen.architecture_at(i) for i in range(frozen.size)} == {
        Architecture(space.name, params) for params in expected
    }


def test_a_member_elsewhere_is_none_here() -> None:
    frozen = CHAIN.freeze({"depth": 2})
    outside = CHAIN.from_string("C-C-S")
    assert CHAIN.contains(outside)
    assert not frozen.contains(outside)
    for read, encoded in [
        (frozen.from_string, "C-C-S"),
        (frozen.from_graph, CHAIN.to_graph(outside)),
        (frozen.from_json, outside.to_json()),
    ]:
        with pytest.raises(ValueError, match=r"`depth` .* one of \[2\] but got 3"):
            read(encoded)  # type: ignore[operator]


def test_the_base_understands_its_architectures_trials_and_strings() -> None:
    frozen = CHAIN.refine(CHAIN.from_string("C8k5-S-O"), ["layer_1_filters", "dense_1_units"])
    assert frozen.size == 4 * 3
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(5):
        trial = study.ask()
        architecture = frozen.suggest(trial)
        assert CHAIN.architecture(trial.params) == architecture
        assert CHAIN.from_string(frozen.to_string(architecture)) == architecture
        assert CHAIN.canonical_key(architecture) == frozen.canonical_key(architecture)
        free = {n for n, d in trial.distributions.items() if not d.single()}
        assert free == {"layer_1_filters", "dense_1_units"}


def test_a_sampler_of_ours_searches_a_sub_space() -> None:
    space = CellSpace()
    base = space.from_string("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    frozen = space.refine(base, ["edge_?_3"])
    assert frozen.size == 125

    def objective(trial: optuna.Trial) -> float:
        architecture = frozen.suggest(trial)
        return sum(choice == "skip_connect" for choice in architecture.values())

    study = optuna.create_study(
        direction="maximize", sampler=GeneticSampler(seed=0, space=frozen, population_size=10)
    )
    study.optimize(objective, n_trials=60)
    assert study.best_value >= 2
    assert all(trial.params["edge_0_1"] == "nor_conv_3x3" for trial in study.trials)


def test_refine_takes_names_and_patterns() -> None:
    architecture = CHAIN.from_string("C8k3-C16k5-Smax2-O32")
    frozen = CHAIN.refine(architecture, ["layer_[12]_filters", "dense_depth"])
    assert frozen.contains(architecture)
    # Two layers of four filters; no, one, or two dense layers, whose units are frozen.
    assert frozen.size == 4 * 4 * 3
    # The second dense layer was inactive: it takes the default, the middle choice.
    two = frozen.complete({"dense_depth": 2})
    assert (two["dense_1_units"], two["dense_2_units"]) == (32, 64)
    assert CHAIN.refine(architecture, ["*"]).size == CHAIN.size
    assert CHAIN.refine(architecture, []).size == 1


def test_a_name_may_look_like_a_pattern() -> None:
    space = CustomSpace({"a[0]": optuna.distributions.IntDistribution(0, 3)})
    assert space.refine(space.complete({}), ["a[0]"]).size == 4


def test_freeze_an_architecture_and_freeze_again() -> None:
    rng = np.random.default_rng(0)
    architecture = CHAIN.sample(rng)
    assert CHAIN.freeze(architecture).size == 1
    twice = CHAIN.freeze({"depth": 2}).freeze({"dense_depth": 0})
    assert twice.size == CHAIN.freeze({"depth": 2, "dense_depth": 0}).size == 100
    with pytest.raises(ValueError, match=r"`depth` .* one of \[2\] but got 3"):
        twice.freeze({"depth": 3})


def _build(architecture: Architecture) -> object:
    return dict(architecture)


def test_build_and_name_are_those_of_the_base() -> None:
    space = CustomSpace(
        {"n": optuna.distributions.IntDistribution(1, 3)}, build=_build, name="mine"
    )
    frozen = pickle.loads(pickle.dumps(space.freeze({"n": 2})))
    assert frozen.build(frozen.complete({})) == {"n": 2}
    assert frozen.name == frozen.complete({}).space == "mine"
    assert CHAIN.freeze({}).build is None
    assert dict(frozen.choices) == {"n": (2,)}


def test_some_choices_are_left() -> None:
    space = CustomSpace(
        {
            "n": optuna.distributions.IntDistribution(2, 10, step=2),
            "x": optuna.distributions.FloatDistribution(0, 1, step=0.25),
            "c": optuna.distributions.CategoricalDistribution(("a", "b", "c")),
        }
    )
    left = SubSpace(space, {"n": [8, 4, 6], "x": [0.0, 0.5], "c": ["c", "a"]})
    assert left.distributions == {
        "n": optuna.distributions.IntDistribution(4, 8, step=2),
        "x": optuna.distributions.CategoricalDistribution((0.0, 0.5)),
        "c": optuna.distributions.CategoricalDistribution(("a", "c")),
    }
    assert str(left) == "custom: 12 of 75 architectures (16.00%)"
    whole = SubSpace(space, {"n": [2, 4, 6, 8, 10]})
    assert whole.distributions == space.distributions
    gap = SubSpace(space, {"n": [2, 6]})
    assert gap.distributions["n"] == optuna.distributions.CategoricalDistribution((2, 6))
    for member in (left, gap):
        architecture = member.sample(np.random.default_rng(0))
        assert space.contains(architecture)
        assert member.from_string(member.to_string(architecture)) == architecture
    with pytest.raises(ValueError, match="`n` to have a choice left but got none"):
        SubSpace(space, {"n": []})
    with pytest.raises(ValueError, match="decision `n` .* but got 3"):
        SubSpace(space, {"n": [2, 3]})


def test_shrinking_keeps_what_is_likely() -> None:
    space = CellSpace()
    prior = Prior(space, {"edge_0_1": [0.1, 0.4, 0.2, 0.2, 0.1], "edge_0_2": [0, 0, 0, 0, 1]})
    left = space.shrink(prior, keep=0.5)
    assert left.choices["edge_0_1"] == ("skip_connect", "nor_conv_1x1", "nor_conv_3x3")
    assert left.choices["edge_0_2"] == ("avg_pool_3x3",)
    assert left.size == 3 * 5**4
    assert left.contains(prior.most_likely())
    assert space.shrink(prior, keep=0).size == space.size
    assert space.shrink(prior, keep=1).choices["edge_0_1"] == ("skip_connect",)
    with pytest.raises(ValueError, match=r"`keep` to be in \[0, 1\] but got 1.5"):
        space.shrink(prior, keep=1.5)
    with pytest.raises(ValueError, match="`prior` to be of search space `chain`"):
        CHAIN.shrink(prior)


def test_what_freeze_and_refine_refuse() -> None:
    with pytest.raises(ValueError, match=r"`decisions` to name decisions .* but got \['width'\]"):
        CHAIN.freeze({"width": 2})
    with pytest.raises(ValueError, match=r"`depth` .* one of \[1, 2, 3, 4, 5, 6\] but got 7"):
        CHAIN.freeze({"depth": 7})
    architecture = CHAIN.from_string("C-S")
    with pytest.raises(ValueError, match=r"`decisions` to name decisions .* but got 'width_\*'"):
        CHAIN.refine(architecture, ["width_*"])
    with pytest.raises(ValueError, match="`decisions` to be a list .* but got 'depth'"):
        CHAIN.refine(architecture, "depth")
    with pytest.raises(ValueError, match="an architecture of search space `chain`"):
        CHAIN.refine(Architecture("cell", {}), ["depth"])
