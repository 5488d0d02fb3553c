"""Screening of the proposals of other samplers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
import math
import pickle
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest

from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import Constraint
from optuna_nas import CustomSpace
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers import GeneticSampler
from optuna_nas.samplers import LocalSearchSampler
from optuna_nas.samplers import ReinforceSampler
from optuna_nas.samplers import ScreeningSampler


CELL = CellSpace()
CHAIN = ChainSpace()
LINE = CustomSpace({"x": IntDistribution(0, 10**6)})


def convolutions(architecture: Mapping[str, Any]) -> float:
    return float(list(architecture.values()).count("nor_conv_3x3"))


def evaluate(trial: optuna.Trial) -> float:
    return convolutions(CELL.suggest(trial))


class Counting(BaseSampler):
    """Proposes 1, 2, 3, ... and remembers the trials that it was told of."""

    def __init__(self, *, relative: bool) -> None:
        self.n, self.relative, self.before, self.after = 0, relative, list[int](), list[int]()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {"x": IntDistribution(0, 10**6)} if self.relative else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        self.n += 1
        return {"x": self.n}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        self.n += 1
        return self.n

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.before.append(trial.number)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        self.after.append(trial.number)


def optimize(sampler: BaseSampler, n_trials: int) -> list[int]:
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: float(LINE.suggest(trial)["x"]), n_trials=n_trials)
    return [trial.params["x"] for trial in study.trials]


@pytest.mark.parametrize("relative", [True, False])
def test_best_of_each_pool_is_evaluated(relative: bool) -> None:
    base = Counting(relative=relative)
    worth = {1: 3.0, 2: 5.0, 3: math.nan, 4: 4.0, 5: 0.0, 6: -1.0, 7: -2.0, 8: -math.inf}
    sampler = ScreeningSampler(base, lambda a: worth[a["x"]], pool=4, n_warm_up=0, space=LINE)
    assert optimize(sampler, 2) == [2, 5]
    assert base.before == base.after == [0, 1]


def test_pool_of_one_screens_nothing() -> None:
    base = Counting(relative=True)
    sampler = ScreeningSampler(base, lambda a: -a["x"], pool=1, n_warm_up=0, space=LINE)
    assert optimize(sampler, 4) == [1, 2, 3, 4]


def test_warm_up_is_screened_from_random_architectures() -> None:
    base = Counting(relative=True)
    seen: list[int] = []

    def score(architecture: Architecture) -> float:
        seen.append(int(architecture["x"]))
        return float(architecture["x"])

    sampler = ScreeningSampler(
        base, score, pool=2, n_warm_up=3, warm_up_pool=50, seed=0, space=LINE
    )
    found = optimize(sampler, 4)
    assert base.n == 2  # Asked in the last trial alone.
    assert found[3] == 2
    assert found[:3] == [max(seen[50 * i : 50 * i + 50]) for i in range(3)]
    assert len(set(seen)) > 140


def test_an_architecture_is_scored_once() -> None:
    scored: Counter[str] = Counter()

    def score(architecture: Architecture) -> float:
        scored[CELL.canonical_key(architecture)] += 1
        return convolutions(architecture)

    base = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=ScreeningSampler(base, score, seed=0, space=CELL))
    study.optimize(evaluate, n_trials=40)
    assert set(scored.values()) == {1}
    assert len(scored) > 300


@pytest.mark.parametrize(
    "base",
    [
        optuna.samplers.RandomSampler(seed=0),
        optuna.samplers.TPESampler(seed=0),
        optuna.samplers.TPESampler(seed=0, multivariate=True, group=True),
        optuna.samplers.NSGAIISampler(seed=0, population_size=10),
        GeneticSampler(seed=0, space=CHAIN),
        LocalSearchSampler(seed=0, space=CHAIN),
        ReinforceSampler(seed=0, space=CHAIN),
    ],
    ids=lambda base: type(base).__name__,
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Of TPE, on conditional spaces.
def test_conditions_constraints_and_duplicates(base: BaseSampler) -> None:
    shallow = Constraint("depth", upper=3, function=lambda a: float(a["depth"]))
    sampler = ScreeningSampler(
        base, len, pool=4, n_warm_up=5, seed=0, space=CHAIN, constraints=[shallow]
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: float(len(CHAIN.suggest(trial))), n_trials=30)
    architectures = [CHAIN.architecture(trial.params) for trial in study.trials]
    assert [dict(a) for a in architectures] == [trial.params for trial in study.trials]
    assert len({CHAIN.canonical_key(a) for a in architectures}) == 30
    assert max(int(a["depth"]) for a in architectures) == 3


@pytest.mark.parametrize("name", ["tpe", "genetic", "local-search", "reinforce", "random"])
def test_a_good_score_helps(name: str) -> None:
    makers: dict[str, Any] = {
        "tpe": lambda: optuna.samplers.TPESampler(seed=1),
        "random": lambda: optuna.samplers.RandomSampler(seed=1),
        "genetic": lambda: GeneticSampler(seed=1, space=CELL),
        "local-search": lambda: LocalSearchSampler(seed=1, space=CELL),
        "reinforce": lambda: ReinforceSampler(seed=1, space=CELL),
    }
    means = {}
    for pool in (1, 16):
        sampler = ScreeningSampler(
            makers[name](), convolutions, pool=pool, n_warm_up=0, seed=1, space=CELL
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(evaluate, n_trials=12)
        means[pool] = np.mean([trial.value for trial in study.trials])
    assert means[16] > means[1] + 0.5


def test_pool_of_local_search_are_neighbours() -> None:
    study = optuna.create_study(direction="maximize")
    study.sampler = base = LocalSearchSampler(n_initial=3, seed=0, space=CELL)
    study.optimize(evaluate, n_trials=3)
    best = CELL.architecture(study.best_params)
    trial = study._storage.get_trial(study.ask()._trial_id)
    domain = base._domain(base._read(study, trial))
    assert isinstance(base, ArchitectureSampler)
    pool = base.propose_pool(study, trial, domain, np.random.default_rng(0), 8)
    near = {CELL.to_string(a) for a in CELL.neighbors(best)}
    names = [CELL.to_string(CELL.architecture(params)) for params in pool]
    assert len(set(names)) == 8
    assert set(names) <= near


def test_a_pool_of_a_whole_neighbourhood_passes_on_its_best() -> None:
    """So a search by screened neighbours climbs the score wherever the objective lets it."""
    scores: dict[str, float] = {}
    rng = np.random.default_rng(3)

    def score(architecture: Architecture) -> float:
        return scores.setdefault(CELL.canonical_key(architecture), float(rng.random()))

    base = LocalSearchSampler(n_initial=3, seed=0, space=CELL)
    sampler = ScreeningSampler(base, score, pool=24, n_warm_up=0, seed=0, space=CELL)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(evaluate, n_trials=3)
    taken = {CELL.canonical_key(CELL.architecture(trial.params)) for trial in study.trials}
    near = list(CELL.neighbors(CELL.architecture(study.best_params)))
    assert len(near) == 24
    study.optimize(evaluate, n_trials=1)
    keys = {CELL.canonical_key(architecture) for architecture in near} - taken
    best = max(keys, key=lambda key: scores[key])
    assert CELL.canonical_key(CELL.architecture(study.trials[3].params)) == best


def test_enqueued_trials_are_not_screened() -> None:
    sampler = ScreeningSampler(
        optuna.samplers.RandomSampler(seed=0), convolutions, seed=0, space=CELL
    )
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial(dict.fromkeys(CELL.distributions, "none"))
    study.enqueue_trial({"edge_0_1": "none"})
    study.optimize(evaluate, n_trials=2)
    assert set(study.trials[0].params.values()) == {"none"}
    assert study.trials[1].params["edge_0_1"] == "none"
    assert study.trials[1].value >= 3  # Only the rest was screened.


def test_without_a_space_parameters_are_scored() -> None:
    sampler = ScreeningSampler(
        optuna.samplers.RandomSampler(seed=0), lambda params: -abs(params["x"] - 0.3), seed=0
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=20)
    later = [trial.params["x"] for trial in study.trials[1:]]
    assert max(abs(x - 0.3) for x in later) < 0.2


def test_sampler_pickles_with_what_it_wraps() -> None:
    sampler = ScreeningSampler(optuna.samplers.TPESampler(seed=0), len, seed=0, space=CHAIN)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: float(len(CHAIN.suggest(trial))), n_trials=3)
    study.sampler = pickle.loads(pickle.dumps(sampler))
    study.optimize(lambda trial: float(len(CHAIN.suggest(trial))), n_trials=3)
    assert len(study.trials) == 6


def test_new_seeds_reach_both_samplers() -> None:
    def run(reseed: bool) -> list[Any]:
        base = optuna.samplers.RandomSampler(seed=0)
        sampler = ScreeningSampler(base, len, pool=2, n_warm_up=0, seed=0, space=CELL)
        if reseed:
            sampler.reseed_rng()
        study = optuna.create_study(sampler=sampler)
        study.optimize(evaluate, n_trials=5)
        return [trial.params for trial in study.trials]

    assert run(False) == run(False) != run(True)


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"pool": 0}, "`pool` to be at least 1 but got 0"),
        ({"n_warm_up": -1}, "`n_warm_up` to be at least 0 but got -1"),
        ({"warm_up_pool": 0}, "`warm_up_pool` to be at least 1 but got 0"),
        ({"base_sampler": "tpe"}, "`base_sampler` to be an Optuna sampler but got tpe"),
    ],
)
def test_wrong_arguments(kwargs: dict[str, Any], sentence: str) -> None:
    arguments = {"base_sampler": optuna.samplers.RandomSampler(), "score": len, **kwargs}
    with pytest.raises(ValueError, match=sentence):
        ScreeningSampler(**arguments)


def test_categories_of_a_stock_sampler_stay_what_they_are() -> None:
    space = CustomSpace({"k": CategoricalDistribution((1, 3, 5)), "w": IntDistribution(1, 9)})
    sampler = ScreeningSampler(optuna.samplers.TPESampler(seed=0), len, seed=0, space=space)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: float(space.suggest(trial)["k"]), n_trials=20)
    assert {trial.params["k"] for trial in study.trials} == {1, 3, 5}


SPACE = CustomSpace({"x": IntDistribution(1, 9), "z": FloatDistribution(0, 1, step=0.1)})


def suggest(trial: optuna.Trial) -> float:
    x, z = trial.suggest_int("x", 1, 9), trial.suggest_float("z", 0, 1, step=0.1)
    return x + z + len(trial.suggest_categorical("c", ["a", "bb"]))


def test_screening_of_another_sampler_takes_no_value_out_of_range() -> None:
    sampler = ScreeningSampler(RandomSampler(seed=0), len, pool=3, n_warm_up=0, space=SPACE)
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"x": 99})
    with pytest.warns(UserWarning, match="out of range"):
        study.optimize(suggest, n_trials=2)
    assert study.trials[0].params["x"] == 99
