"""The rules that every sampler of this package keeps, run over one table of samplers."""

from __future__ import annotations

from collections.abc import Callable
import copy
import math
import multiprocessing
import pickle
from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.storages import BaseStorage
from optuna.trial import create_trial
from optuna.trial import TrialState
import pytest

from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.samplers import ArchitectureSampler
from tests.optuna_nas.samplers.databases import sqlite
from tests.optuna_nas.samplers.sampler_table import CONTROLLERS
from tests.optuna_nas.samplers.sampler_table import SAMPLERS


LEARNING = [name for name in SAMPLERS if not name.startswith("random")]

CELL = CellSpace()
CHAIN = ChainSpace()


@pytest.fixture(params=LEARNING)
def make_learning(request: pytest.FixtureRequest) -> Callable[..., ArchitectureSampler]:
    return SAMPLERS[request.param]


def count_convolutions(trial: optuna.Trial) -> float:
    return sum(choice == "nor_conv_3x3" for choice in CELL.suggest(trial).values())


def accuracy_and_cost(trial: optuna.Trial) -> tuple[float, float]:
    n = count_convolutions(trial)
    return n, n + trial.params["edge_0_3"].count("1x1")


def proposals(study: optuna.Study, space: SearchSpace = CELL) -> list[str]:
    return [space.canonical_key(space.architecture(t.params)) for t in study.trials]


def run(
    sampler: ArchitectureSampler,
    n_trials: int,
    objective: Callable[[optuna.Trial], Any] = count_convolutions,
    **kwargs: Any,
) -> optuna.Study:
    kwargs.setdefault("direction", "maximize")
    study = optuna.create_study(sampler=sampler, **kwargs)
    study.optimize(objective, n_trials=n_trials)
    return study


# Rule 2: proposals are a function of the history, the space and the generator.


def test_equal_seed_and_history_give_equal_proposals(
    make: Callable[..., ArchitectureSampler],
) -> None:
    first, second = (run(make(seed=3, space=CELL), 40) for _ in range(2))
    assert [t.params for t in first.trials] == [t.params for t in second.trials]
    other = run(make(seed=4, space=CELL), 40)
    assert [t.params for t in first.trials] != [t.params for t in other.trials]


# Rule 3: the state is in the study.


def test_restarted_process_continues_where_the_study_stands(
    make: Callable[..., ArchitectureSampler],
    storages: dict[str, BaseStorage],
    request: pytest.FixtureRequest,
) -> None:
    straight = run(make(seed=1, space=CELL), 30)
    for n_trials in (13, 10, 7):
        study = optuna.create_study(
            storage=storages["sqlite"],
            study_name=request.node.name,
            direction="maximize",
            load_if_exists=True,
            sampler=make(seed=1, space=CELL),
        )
        study.optimize(count_convolutions, n_trials=n_trials)
    assert [t.params for t in study.trials] == [t.params for t in straight.trials]


def test_order_of_finishing_does_not_matter(make: Callable[..., ArchitectureSampler]) -> None:
    def finish(order: list[int], sampler: ArchitectureSampler) -> dict[str, Any]:
        study = optuna.create_study(direction="maximize", sampler=make(seed=0, space=CELL))
        trials = [study.ask() for _ in range(30)]
        values = [count_convolutions(trial) for trial in trials]
        study.sampler = sampler
        for position, number in enumerate(order):
            study.tell(trials[number], values[number])
            if position % 7 == 0:  # Look at the study in between, as a long-lived worker does.
                study.sampler.infer_relative_search_space(study, study.trials[order[0]])
        return study.ask(dict(CELL.distributions)).params

    shuffled = [int(i) for i in np.random.default_rng(0).permutation(30)]
    expected = finish(list(range(30)), make(seed=9, space=CELL))
    assert finish(shuffled, make(seed=9, space=CELL)) == expected


def bumpy(trial: optuna.Trial) -> tuple[float, float]:
    """Fail, be pruned, be infeasible, or have a further parameter now and then."""
    n = count_convolutions(trial)
    if trial.number % 7 == 3:
        raise RuntimeError
    if trial.number % 7 == 5:
        raise optuna.TrialPruned
    trial.set_constraint("few", n - 3)
    return n, trial.suggest_float("rate", 1e-3, 1, log=True)


def test_storage_does_not_matter(
    make: Callable[..., ArchitectureSampler], storages: dict[str, BaseStorage]
) -> None:
    seen = {}
    for name, storage in storages.items():
        study = optuna.create_study(
            directions=["maximize", "minimize"],
            sampler=make(seed=2, space=CELL),
            storage=storage,
        )
        study.enqueue_trial(dict.fromkeys(CELL.distributions, "avg_pool_3x3"))
        study.optimize(bumpy, n_trials=16, catch=(RuntimeError,))
        seen[name] = [t.params for t in study.trials]
    assert seen["sqlite"] == seen["journal"] == seen["grpc"] == seen["memory"]


# Rule 4: enqueued and added trials count.


@pytest.mark.parametrize("name", CONTROLLERS)
def test_controllers_learn_from_added_trials(name: str) -> None:
    """A policy moves in small steps, so it is given more trials than a population needs."""
    proposed = []
    for seed in range(6):
        study = optuna.create_study(
            direction="maximize", sampler=SAMPLERS[name](seed=seed, space=CELL)
        )
        rng = np.random.default_rng(seed)
        for _ in range(150):
            params = dict(CELL.sample(rng))
            study.add_trial(
                create_trial(
                    params=params,
                    distributions=dict(CELL.distributions),
                    value=count_convolutions_of(params),
                )
            )
        study.optimize(count_convolutions, n_trials=10)
        proposed += [t.value for t in study.trials[150:] if t.value is not None]
    assert np.mean(proposed) > 6 / 5 + 0.5  # 6 / 5 is the mean of random cells.


@pytest.mark.parametrize("name", [name for name in LEARNING if name not in CONTROLLERS])
def test_enqueued_and_added_trials_enter_the_population(name: str) -> None:
    make = SAMPLERS[name]
    first = 10  # Right after it has learned from the first trials; later it needs no help.
    best = dict.fromkeys(CELL.distributions, "nor_conv_3x3")
    helped, alone = [], []
    for seed in range(20):
        study = optuna.create_study(direction="maximize", sampler=make(seed=seed, space=CELL))
        study.enqueue_trial(best)
        for edge in CELL.distributions:
            almost = {**best, edge: "avg_pool_3x3"}
            study.add_trial(
                create_trial(params=almost, distributions=dict(CELL.distributions), value=5.0)
            )
        study.optimize(count_convolutions, n_trials=first - 2)
        assert {k: study.trials[0].params[k] for k in best} == best
        helped += [t.value for t in study.trials[first:] if t.value is not None]
        plain = run(make(seed=seed, space=CELL), first + 4)
        alone += [t.value for t in plain.trials[first:] if t.value is not None]
    assert np.mean(helped) > np.mean(alone) + 0.5


def test_partly_enqueued_parameters_are_kept_and_completed(
    make: Callable[..., ArchitectureSampler],
) -> None:
    study = optuna.create_study(direction="maximize", sampler=make(seed=0, space=CHAIN))
    for depth in (1, 6, 3):
        study.enqueue_trial({"depth": depth, "dense_depth": 0})
    study.optimize(lambda trial: float(CHAIN.suggest(trial)["depth"]), n_trials=12)
    assert [t.params["depth"] for t in study.trials[:3]] == [1, 6, 3]
    assert all(CHAIN.contains(CHAIN.architecture(t.params)) for t in study.trials)


# Rule 5: random numbers, threads, pickling, processes.


def test_reseed_rng_gives_a_different_stream(make: Callable[..., ArchitectureSampler]) -> None:
    reseeded = make(seed=3, space=CELL)
    reseeded.reseed_rng()
    assert proposals(run(reseeded, 10)) != proposals(run(make(seed=3, space=CELL), 10))
    assert proposals(run(make(space=CELL), 10)) != proposals(run(make(space=CELL), 10))


def test_sampler_pickles_and_copies(make: Callable[..., ArchitectureSampler]) -> None:
    sampler = make(seed=5, space=CELL)
    expected = [t.params for t in run(sampler, 25).trials]
    for copied in (pickle.loads(pickle.dumps(sampler)), copy.deepcopy(sampler)):
        assert [t.params for t in run(copied, 25).trials] == expected


def test_threads(make: Callable[..., ArchitectureSampler]) -> None:
    study = optuna.create_study(direction="maximize", sampler=make(seed=0, space=CELL))
    study.optimize(count_convolutions, n_trials=60, n_jobs=4)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 60
    assert len(set(proposals(study))) >= 59


def _work(url: str, name: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(
        storage=sqlite(url), study_name=name, sampler=SAMPLERS[name](seed=7, space=CELL)
    )
    study.optimize(count_convolutions, n_trials=10)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that only processes started for the test have open."""
    url = f"sqlite:///{tmp_path_factory.mktemp('processes')}/study.db"
    storage = sqlite(url)
    for name in SAMPLERS:
        optuna.create_study(storage=storage, study_name=name, direction="maximize")
    return url


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SAMPLERS))
def test_processes_with_the_same_seed_propose_different_architectures(name: str, url: str) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_work, args=(url, name)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    study = optuna.load_study(storage=url, study_name=name)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(study.trials) == 40
    # Proposals are claimed before they are suggested; the controllers change them after that.
    assert len(set(proposals(study))) >= (39 if name in CONTROLLERS else 40)


# Rule 6: duplicates.


def test_no_canonical_key_is_proposed_twice(make: Callable[..., ArchitectureSampler]) -> None:
    study = run(make(seed=0, space=CELL), 300)
    assert len(set(proposals(study))) == 300


def test_small_space_is_exhausted_before_anything_repeats(
    make: Callable[..., ArchitectureSampler],
) -> None:
    space = CellSpace(n_nodes=3)
    n_keys = len({space.canonical_key(space.architecture_at(i)) for i in range(space.size)})
    study = optuna.create_study(direction="maximize", sampler=make(seed=0, space=space))
    study.optimize(lambda t: len(space.to_string(space.suggest(t))), n_trials=n_keys + 3)
    keys = proposals(study, space)
    assert len(set(keys[:n_keys])) == n_keys
    assert len(study.trials) == n_keys + 3


def test_running_architectures_are_not_proposed(make: Callable[..., ArchitectureSampler]) -> None:
    space = CustomSpace({"a": IntDistribution(0, 3)})
    study = optuna.create_study(sampler=make(seed=0, space=space))
    trials = [study.ask(dict(space.distributions)) for _ in range(4)]
    assert sorted(trial.params["a"] for trial in trials) == [0, 1, 2, 3]


def test_waiting_architectures_are_not_proposed(make: Callable[..., ArchitectureSampler]) -> None:
    space = CustomSpace({"a": IntDistribution(0, 1)})
    study = optuna.create_study(sampler=make(seed=0, space=space))
    trial = study.ask()
    study.enqueue_trial({"a": 0})
    assert trial.suggest_int("a", 0, 1) == 1


def test_duplicates_are_avoided_without_a_space(make: Callable[..., ArchitectureSampler]) -> None:
    def objective(trial: optuna.Trial) -> float:
        value: float = trial.suggest_categorical("a", [1, 2, 3])
        return value * trial.suggest_int("b", 1, 5) + (
            trial.suggest_categorical("c", [0, 1]) if value == 2 else 0
        )

    study = run(make(seed=0), 18, objective)
    params = [tuple(t.params.items()) for t in study.trials]
    assert len(set(params)) >= 17  # The second trial starts before all names are known.


# Rule 7: failed, pruned, NaN and infeasible trials.


def test_failed_pruned_and_nan_trials(make: Callable[..., ArchitectureSampler]) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = count_convolutions(trial)
        if trial.number % 4 == 1:
            raise RuntimeError
        if trial.number % 4 == 2:
            raise optuna.TrialPruned
        return math.nan if trial.number % 4 == 3 else value

    study = optuna.create_study(direction="maximize", sampler=make(seed=0, space=CELL))
    study.optimize(objective, n_trials=80, catch=(RuntimeError,))
    not_failed = [t for t in study.trials if t.state != TrialState.FAIL]
    assert len(not_failed) == 40
    keys = [CELL.canonical_key(CELL.architecture(t.params)) for t in not_failed]
    assert len(set(keys)) == 40


def test_infinite_and_added_nan_values(make: Callable[..., ArchitectureSampler]) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make(seed=0))
    values = [math.inf, -math.inf, 1.0, math.nan]
    for i in range(16):
        trial = create_trial(
            params={"x": 0.1 * (i % 10)},
            distributions={"x": FloatDistribution(0, 1)},
            values=[values[i % 4] if i % 4 != 3 else 0.0, values[(i // 4) % 3]],
        )
        study.add_trial(trial)
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), math.inf), n_trials=20)
    assert all(t.state == TrialState.COMPLETE for t in study.trials)


def test_infeasible_trials_rank_below_feasible(
    make_learning: Callable[..., ArchitectureSampler],
) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = count_convolutions(trial)
        trial.set_constraint("few", value - 3)
        return value

    last = []
    for seed in range(20):
        study = run(make_learning(seed=seed, space=CELL), 80, objective)
        last += [t.value for t in study.trials[50:] if t.value is not None]
        assert study.best_value == 3
    random = np.mean(
        [count_convolutions_of(CELL.sample(np.random.default_rng(i))) for i in range(500)]
    )
    assert random + 0.3 < np.mean(last) < 4.2


def count_convolutions_of(architecture: Any) -> int:
    return sum(choice == "nor_conv_3x3" for choice in architecture.values())


# With a space: conditions, other parameters, several objectives, priors.


def test_only_active_decisions_are_proposed(make: Callable[..., ArchitectureSampler]) -> None:
    study = optuna.create_study(direction="maximize", sampler=make(seed=0, space=CHAIN))
    for _ in range(40):
        trial = study.ask()
        architecture = CHAIN.suggest(trial)
        assert set(trial.relative_params or {}) == set(architecture)
        study.tell(trial, architecture["depth"])


def test_joint_search_with_training_hyperparameters(
    make: Callable[..., ArchitectureSampler],
) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        architecture = CHAIN.suggest(trial)
        rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
        batch = trial.suggest_int("batch_size", 16, 256, step=16)
        return float(architecture["depth"]) + math.log(rate), float(batch)

    sampler = make(seed=0, space=CHAIN)
    study = run(sampler, 60, objective, direction=None, directions=["maximize", "minimize"])
    assert len({t.params["learning_rate"] for t in study.trials}) >= 4
    assert all(CHAIN.contains(CHAIN.architecture(t.params)) for t in study.trials)


def test_study_of_other_parameters_is_not_disturbed(
    make: Callable[..., ArchitectureSampler],
) -> None:
    study = run(make(seed=0, space=CELL), 30, lambda t: t.suggest_float("x", -1, 1) ** 2)
    assert all(set(t.params) == {"x"} for t in study.trials)


def test_it_learns_more_than_chance(make_learning: Callable[..., ArchitectureSampler]) -> None:
    improved = []
    for seed in range(20):
        values = [t.value for t in run(make_learning(seed=seed, space=CELL), 60).trials]
        improved.append(np.mean(values[40:]) - np.mean(values[:8]))
    assert np.mean(improved) > 0.7


def test_two_objectives_are_both_pursued(
    make_learning: Callable[..., ArchitectureSampler],
) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        architecture = CELL.suggest(trial)
        values = list(architecture.values())
        return values.count("nor_conv_3x3"), values.count("nor_conv_1x1")

    found, drawn = [], []
    for seed in range(20):
        study = run(
            make_learning(seed=seed, space=CELL),
            100,
            objective,
            direction=None,
            directions=["maximize", "maximize"],
        )
        found.append(max(sum(t.values) for t in study.best_trials))
        rng = np.random.default_rng(seed)
        drawn.append(
            max(
                sum(str(v).startswith("nor_conv") for v in CELL.sample(rng).values())
                for _ in range(100)
            )
        )
    assert np.mean(found) > np.mean(drawn)


def test_prior_shapes_the_first_proposals(make: Callable[..., ArchitectureSampler]) -> None:
    prior = Prior(CELL, {name: [0, 0, 0, 1, 0] for name in CELL.distributions}, floor=0.2)
    study = run(make(seed=0, space=CELL, prior=prior), 8)
    assert np.mean([t.value for t in study.trials if t.value is not None]) > 3.5


def test_pruners_that_filter_the_study(make: Callable[..., ArchitectureSampler]) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = count_convolutions(trial)
        for step in range(4):
            trial.report(value * step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study = optuna.create_study(
        direction="maximize",
        sampler=make(seed=0, space=CELL),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=4),
    )
    study.optimize(objective, n_trials=60)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}


# Rule 8: reading.


def test_each_finished_trial_is_looked_at_once(
    make: Callable[..., ArchitectureSampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = run(make(seed=0, space=CELL), 100)
    calls = 0
    original = CELL.canonical_key

    def counted(architecture: Any) -> str:
        nonlocal calls
        calls += 1
        return original(architecture)

    monkeypatch.setattr(CELL, "canonical_key", counted)
    study.optimize(count_convolutions, n_trials=20)
    assert calls < 20 * 60  # 100 to 120 finished trials a proposal would be over 2,000.


# Arguments.


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"seed": -1}, "Expected argument `seed` to be at least 0 but got -1"),
        (
            {"space": CHAIN, "prior": Prior(CELL, {})},
            "Expected argument `prior` to be of search space `chain` but got one of `cell`",
        ),
        (
            {
                "space": CELL.freeze({"edge_0_1": "none"}),
                "prior": Prior(CELL, {"edge_0_1": [1, 0, 0, 0, 0]}),
            },
            "Expected argument `prior` to have the choices of decision `edge_0_1` .*but got",
        ),
    ],
)
def test_wrong_common_arguments(
    make: Callable[..., ArchitectureSampler], kwargs: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make(**kwargs)
