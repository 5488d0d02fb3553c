"""ArchitectureObjective with evaluators that measure nothing."""

from __future__ import annotations

from collections.abc import Mapping
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import Trial
from optuna.trial import TrialState
import pytest

from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import Constraint
from optuna_nas import Evaluation
from optuna_nas.evaluation import Report
from optuna_nas.objective import ARCHITECTURE
from optuna_nas.objective import CANONICAL_KEY
from optuna_nas.objective import CURVES
from optuna_nas.objective import DUPLICATE_OF
from optuna_nas.objective import FAIL_REASON
from optuna_nas.objective import INFEASIBLE
from optuna_nas.objective import METRICS


SPACE = CellSpace()


class FakeEvaluator:
    """Returns what it is given, or raises it, after reporting one value an epoch."""

    def __init__(self, outcome: Any, curve: tuple[float, ...] = (), metric: str = "acc") -> None:
        self.outcome = outcome
        self.curve = curve
        self.metric = metric
        self.metrics = ("val_accuracy", "params")
        self.seen: list[Architecture] = []

    def __call__(self, architecture: Architecture, *, report: Report | None = None) -> Any:
        self.seen.append(architecture)
        assert report is not None
        for epoch, value in enumerate(self.curve):
            report(epoch, {self.metric: value, "loss": 1 - value})
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def _study(n_objectives: int = 1, **kwargs: Any) -> optuna.Study:
    return optuna.create_study(
        directions=["maximize"] * n_objectives, sampler=RandomSampler(seed=0), **kwargs
    )


def _failed(outcome: Any, *, catch: type[Exception] = Exception) -> optuna.trial.FrozenTrial:
    """Return the one trial of a study whose evaluation has a bad end."""
    study = _study()
    objective = ArchitectureObjective(SPACE, FakeEvaluator(outcome, (0.1,)), objectives=("acc",))
    study.optimize(objective, n_trials=1, catch=(catch,))
    (trial,) = study.trials
    assert trial.state == TrialState.FAIL
    return trial


# What the trial keeps.


def test_a_trial_keeps_architecture_metrics_and_curves() -> None:
    evaluator = FakeEvaluator({"acc": 0.8, "params": 1000}, (0.5, 0.75))
    study = _study()
    study.optimize(ArchitectureObjective(SPACE, evaluator, objectives=("acc",)), n_trials=3)
    for trial, architecture in zip(study.trials, evaluator.seen, strict=True):
        assert trial.state == TrialState.COMPLETE
        assert trial.values == [0.8]
        assert SPACE.from_string(trial.user_attrs[ARCHITECTURE]) == architecture
        assert SPACE.architecture(trial.params) == architecture
        assert trial.user_attrs[CANONICAL_KEY] == SPACE.canonical_key(architecture)
        assert trial.user_attrs[METRICS] == {"acc": 0.8, "params": 1000}
        assert trial.user_attrs[CURVES] == {"acc": [0.5, 0.75], "loss": [0.5, 0.25]}
        assert trial.intermediate_values == {0: 0.5, 1: 0.75}
        assert FAIL_REASON not in trial.user_attrs


def test_the_default_objective_is_the_first_metric_of_the_evaluator() -> None:
    objective = ArchitectureObjective(SPACE, FakeEvaluator(Evaluation({"val_accuracy": 0.5})))
    study = _study()
    study.optimize(objective, n_trials=1)
    assert study.best_value == 0.5
    assert CURVES not in study.best_trial.user_attrs
    with pytest.raises(ValueError, match="the evaluator does not tell its `metrics`"):
        ArchitectureObjective(SPACE, lambda architecture, report=None: {"acc": 0.5})


def test_several_objectives_come_in_their_order_and_are_not_reported() -> None:
    evaluator = FakeEvaluator({"macs": 5.0, "acc": 0.8, "latency_ms": 2}, (0.5, 0.75))
    objective = ArchitectureObjective(SPACE, evaluator, objectives=("acc", "latency_ms", "macs"))
    study = _study(3)
    study.optimize(objective, n_trials=2)
    for trial in study.trials:
        assert trial.values == [0.8, 2, 5]
        assert trial.intermediate_values == {}
        assert trial.user_attrs[CURVES]["acc"] == [0.5, 0.75]


def test_another_metric_than_the_objective_is_not_reported() -> None:
    evaluator = FakeEvaluator({"acc": 0.8}, (0.5,), metric="train_acc")
    study = _study()
    study.optimize(ArchitectureObjective(SPACE, evaluator, objectives=("acc",)), n_trials=1)
    assert study.trials[0].intermediate_values == {}
    assert study.trials[0].user_attrs[CURVES] == {"train_acc": [0.5], "loss": [0.5]}


def test_a_curve_counts_from_epoch_0_when_a_metric_comes_later() -> None:
    def evaluate(architecture: Architecture, *, report: Report | None = None) -> Any:
        assert report is not None
        report(0, {"loss": 3.0})
        report(2, {"loss": 1.0, "acc": 0.5})
        return {"acc": 0.5}

    study = _study()
    study.optimize(ArchitectureObjective(SPACE, evaluate, objectives=("acc",)), n_trials=1)
    curves = study.trials[0].user_attrs[CURVES]
    np.testing.assert_equal(curves, {"loss": [3, math.nan, 1], "acc": [math.nan, math.nan, 0.5]})


def test_numbers_of_arrays_are_stored_as_plain_json(tmp_path: Path) -> None:
    outcome = Evaluation({"acc": np.float32(0.5), "n": np.int64(3)}, {"c": np.float32(-1)})
    evaluator = FakeEvaluator(outcome, (np.float32(0.25),))  # type: ignore[arg-type]
    study = _study(storage=RDBStorage(f"sqlite:///{tmp_path / 'study.db'}"))
    study.optimize(ArchitectureObjective(SPACE, evaluator, objectives=("acc",)), n_trials=1)
    (trial,) = study.get_trials()
    assert trial.user_attrs[METRICS] == {"acc": 0.5, "n": 3}
    assert trial.user_attrs[CURVES] == {"acc": [0.25], "loss": [0.75]}
    assert trial.constraints == {"c": -1}


def test_constraints_are_set_on_the_trial() -> None:
    outcome = Evaluation({"acc": 0.8}, constraints={"params": 12.0, "latency": -0.5})
    study = _study()
    objective = ArchitectureObjective(SPACE, FakeEvaluator(outcome), objectives=("acc",))
    study.optimize(objective, n_trials=1)
    assert study.trials[0].constraints == {"params": 12.0, "latency": -0.5}


def test_conditional_spaces_work_too() -> None:
    evaluator = FakeEvaluator({"acc": 0.5})
    space = ChainSpace()
    study = _study()
    study.optimize(ArchitectureObjective(space, evaluator, objectives=("acc",)), n_trials=10)
    assert [space.architecture(trial.params) for trial in study.trials] == evaluator.seen


# Pruning.


def test_a_median_pruner_stops_bad_architectures() -> None:
    outcomes = iter([0.9, 0.9, 0.1, 0.95])

    def evaluate(architecture: Architecture, *, report: Report | None = None) -> Any:
        assert report is not None
        value = next(outcomes)
        for epoch in range(3):
            report(epoch, {"acc": value})
        return {"acc": value}

    study = _study(pruner=MedianPruner(n_startup_trials=2))
    study.optimize(ArchitectureObjective(SPACE, evaluate, objectives=("acc",)), n_trials=4)
    states = [trial.state for trial in study.trials]
    assert states == [*[TrialState.COMPLETE] * 2, TrialState.PRUNED, TrialState.COMPLETE]
    pruned = study.trials[2]
    assert pruned.user_attrs[CURVES] == {"acc": [0.1]}
    assert pruned.intermediate_values == {0: 0.1}
    assert METRICS not in pruned.user_attrs
    assert FAIL_REASON not in pruned.user_attrs


def test_an_evaluator_may_prune_by_itself() -> None:
    study = _study()
    evaluator = FakeEvaluator(optuna.TrialPruned("too slow"))
    study.optimize(ArchitectureObjective(SPACE, evaluator), n_trials=1)
    assert study.trials[0].state == TrialState.PRUNED
    assert FAIL_REASON not in study.trials[0].user_attrs


# Failures.


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("CUDA out of memory"), "RuntimeError: CUDA out of memory"),
        (ValueError("several\n  lines"), "ValueError: several lines"),
        (KeyError("x"), "KeyError: 'x'"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_an_exception_leaves_its_reason(error: Exception, reason: str) -> None:
    trial = _failed(error)
    assert trial.user_attrs[FAIL_REASON] == reason
    assert trial.user_attrs[CURVES]["acc"] == [0.1]
    assert ARCHITECTURE in trial.user_attrs
    assert METRICS not in trial.user_attrs


def test_a_long_reason_is_cut() -> None:
    assert len(_failed(RuntimeError("x" * 10_000)).user_attrs[FAIL_REASON]) == 500


def test_an_exception_is_raised_unchanged() -> None:
    error = RuntimeError("broken")
    study = _study()
    with pytest.raises(RuntimeError) as raised:
        study.optimize(ArchitectureObjective(SPACE, FakeEvaluator(error)), n_trials=1)
    assert raised.value is error


@pytest.mark.parametrize("code", [1, 0, None, "no GPU"])
def test_a_system_exit_is_a_failed_trial(code: Any) -> None:
    trial = _failed(SystemExit(code), catch=RuntimeError)
    assert trial.user_attrs[FAIL_REASON] == f"SystemExit: {code}"


def test_an_interrupt_leaves_a_failed_trial_with_a_reason() -> None:
    study = _study()
    objective = ArchitectureObjective(SPACE, FakeEvaluator(KeyboardInterrupt(), (0.1,)))
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=3)
    (trial,) = study.trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs[FAIL_REASON] == "interrupted by the user"
    assert trial.user_attrs[CURVES]["acc"] == [0.1]


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_not_a_number_is_a_failed_trial_with_a_reason(n_objectives: int) -> None:
    evaluator = FakeEvaluator({"acc": math.nan, "macs": 1.0})
    study = _study(n_objectives)
    objectives = ("acc", "macs")[:n_objectives]
    study.optimize(ArchitectureObjective(SPACE, evaluator, objectives=objectives), n_trials=1)
    (trial,) = study.trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs[FAIL_REASON].startswith("not a number: {'acc': nan")
    assert trial.user_attrs[METRICS]["macs"] == 1


def test_infinity_is_a_value() -> None:
    study = _study()
    evaluator = FakeEvaluator({"acc": -math.inf})
    study.optimize(ArchitectureObjective(SPACE, evaluator, objectives=("acc",)), n_trials=1)
    assert study.trials[0].state == TrialState.COMPLETE
    assert FAIL_REASON not in study.trials[0].user_attrs


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ({"accuracy": 0.5, "a": 1}, r"objectives \['acc'\] but got \['a', 'accuracy'\]"),
        ({}, r"objectives \['acc'\] but got \[\]"),
        (Evaluation({}), r"objectives \['acc'\] but got \[\]"),
        (None, "an Evaluation or a mapping but got None"),
        (0.9, "an Evaluation or a mapping but got 0.9"),
    ],
)
def test_an_evaluator_without_the_objective(outcome: Any, sentence: str) -> None:
    study = _study()
    objective = ArchitectureObjective(SPACE, FakeEvaluator(outcome), objectives=("acc",))
    with pytest.raises(ValueError, match=f"^Expected `evaluate` to return .*{sentence}"):
        study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs[FAIL_REASON].startswith("ValueError: Expected `evaluate`")


@pytest.mark.parametrize(("n_directions", "n_objectives"), [(1, 2), (2, 1)])
def test_another_number_of_directions_is_an_error_before_the_evaluation(
    n_directions: int, n_objectives: int
) -> None:
    evaluator = FakeEvaluator({"acc": 0.5, "macs": 1}, (0.5,))
    objective = ArchitectureObjective(SPACE, evaluator, objectives=("acc", "macs")[:n_objectives])
    study = _study(n_directions)
    with pytest.raises(
        ValueError, match=rf"a direction for each .* got {n_directions} directions"
    ):
        study.optimize(objective, n_trials=1)
    assert evaluator.seen == []
    assert FAIL_REASON in study.trials[0].user_attrs


@pytest.mark.filterwarnings("ignore:Fixed parameter")
def test_an_enqueued_value_out_of_range_leaves_its_reason() -> None:
    study = _study()
    study.enqueue_trial({"depth": 77})
    evaluator = FakeEvaluator({"acc": 1.0})
    objective = ArchitectureObjective(ChainSpace(), evaluator, objectives=("acc",))
    study.optimize(objective, n_trials=2, catch=(ValueError,))
    failed, complete = study.trials
    assert failed.state == TrialState.FAIL
    assert "`depth`" in failed.user_attrs[FAIL_REASON]
    assert complete.state == TrialState.COMPLETE


def test_a_constraint_that_is_not_a_number_fails_the_trial() -> None:
    """It would count as feasible if it were only left out."""
    trial = _failed(Evaluation({"acc": 0.5}, constraints={"latency": math.nan}))
    assert "NaN is not allowed" in trial.user_attrs[FAIL_REASON]
    assert trial.user_attrs[METRICS] == {"acc": 0.5}


# Constraints.


def _convolutions(architecture: Architecture) -> float:
    return sum(str(choice).startswith("nor_conv") for choice in architecture.values())


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_what_breaks_a_cheap_constraint_is_not_evaluated(n_objectives: int) -> None:
    evaluator = FakeEvaluator({"acc": 0.5, "macs": 1.0})
    events: list[tuple[Any, ...]] = []
    objective = ArchitectureObjective(
        SPACE,
        evaluator,
        objectives=("acc", "macs")[:n_objectives],
        observers=[Recorder("only", events)],
        constraints=[
            Constraint("convolutions", upper=2, function=_convolutions),
            Constraint("convolutions", lower=1, function=_convolutions),
        ],
    )
    study = _study(n_objectives)
    study.optimize(objective, n_trials=40)
    for trial in study.trials:
        n = _convolutions(SPACE.architecture(trial.params))
        assert trial.constraints == {"convolutions<=2": (n - 2) / 2, "convolutions>=1": 1 - n}
        if 1 <= n <= 2:
            assert trial.state == TrialState.COMPLETE
            assert INFEASIBLE not in trial.user_attrs
        else:
            assert trial.state == TrialState.PRUNED
            bound = "convolutions<=2" if n > 2 else "convolutions>=1"
            assert trial.user_attrs[INFEASIBLE] == f"{bound} but got {n:g}"
            assert METRICS not in trial.user_attrs
        assert FAIL_REASON not in trial.user_attrs
    n_complete = sum(trial.state == TrialState.COMPLETE for trial in study.trials)
    assert 0 < len(evaluator.seen) == n_complete < 40
    assert len(events) == 40  # A tracker hears of every trial.


def test_cheap_constraints_are_recorded_before_the_evaluation() -> None:
    cheap = Constraint("convolutions", upper=6, function=_convolutions)
    objective = ArchitectureObjective(
        SPACE, FakeEvaluator(RuntimeError("broken")), constraints=[cheap]
    )
    study = _study()
    study.optimize(objective, n_trials=1, catch=(RuntimeError,))
    assert list(study.trials[0].constraints) == ["convolutions<=6"]


def test_measured_constraints_are_recorded_from_the_metrics() -> None:
    evaluator = FakeEvaluator({"acc": 0.8, "latency_ms": 12.0, "bad": math.nan})
    objective = ArchitectureObjective(
        SPACE,
        evaluator,
        objectives=("acc",),
        constraints=[
            Constraint("latency_ms", upper=10),
            Constraint("acc", lower=0.5),
            Constraint("bad", upper=1),
        ],
    )
    study = _study()
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert trial.state == TrialState.COMPLETE
    assert trial.constraints == pytest.approx(
        {"latency_ms<=10": 0.2, "acc>=0.5": -0.6, "bad<=1": math.inf}
    )


def test_a_constrained_metric_that_is_not_measured_is_an_error() -> None:
    objective = ArchitectureObjective(
        SPACE,
        FakeEvaluator({"acc": 0.8}),
        objectives=("acc",),
        constraints=[Constraint("latency_ms", upper=10)],
    )
    with pytest.raises(
        ValueError, match="the metric `latency_ms` of the constraint latency_ms<=10 but got"
    ):
        _study().optimize(objective, n_trials=1)


def test_equal_constraints_are_an_error() -> None:
    twice = [Constraint("acc", upper=10), Constraint("acc", upper=10)]
    with pytest.raises(ValueError, match="`constraints` to be different constraints but got"):
        ArchitectureObjective(SPACE, FakeEvaluator({}), constraints=twice)


# Duplicates.

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
SAME_FUNCTION = "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|skip_connect~2|"


def _enqueue(study: optuna.Study, *cells: str) -> None:
    for cell in cells:
        study.enqueue_trial(dict(SPACE.from_string(cell)))


def test_a_duplicate_is_answered_from_the_study() -> None:
    evaluator = FakeEvaluator(Evaluation({"acc": 0.8, "macs": 3}, {"c": -1.0}), (0.5, 0.75))
    objective = ArchitectureObjective(
        SPACE,
        evaluator,
        objectives=("acc",),
        constraints=[Constraint("macs", upper=2)],
        reuse_duplicates=True,
    )
    study = _study()
    _enqueue(study, CELL, SAME_FUNCTION, CELL)
    study.optimize(objective, n_trials=3)
    assert len(evaluator.seen) == 1
    original, *duplicates = study.trials
    assert DUPLICATE_OF not in original.user_attrs
    for trial in duplicates:
        assert trial.state == TrialState.COMPLETE
        assert trial.user_attrs[DUPLICATE_OF] == 0
        assert trial.values == original.values
        assert trial.constraints == original.constraints == {"c": -1, "macs<=2": 0.5}
        for name in (METRICS, CURVES, CANONICAL_KEY):
            assert trial.user_attrs[name] == original.user_attrs[name]
    assert study.trials[1].user_attrs[ARCHITECTURE] == SAME_FUNCTION


def test_duplicates_are_evaluated_by_default() -> None:
    evaluator = FakeEvaluator({"acc": 0.8})
    study = _study()
    _enqueue(study, CELL, SAME_FUNCTION)
    study.optimize(ArchitectureObjective(SPACE, evaluator, objectives=("acc",)), n_trials=2)
    assert len(evaluator.seen) == 2
    assert DUPLICATE_OF not in study.trials[1].user_attrs


def test_only_what_was_completed_with_the_same_parameters_is_reused() -> None:
    evaluator = FakeEvaluator(RuntimeError("broken"))
    inner = ArchitectureObjective(SPACE, evaluator, objectives=("acc",), reuse_duplicates=True)

    def objective(trial: Trial) -> Any:
        trial.suggest_float("learning_rate", 0, 1)
        return inner(trial)

    study = _study()
    params = dict(SPACE.from_string(CELL))
    for rate in (0.5, 0.5, 0.25, 0.5):
        study.enqueue_trial({**params, "learning_rate": rate})
    study.optimize(objective, n_trials=1, catch=(RuntimeError,))
    evaluator.outcome = {"acc": 0.5}
    study.optimize(objective, n_trials=3)
    duplicates = [trial.user_attrs.get(DUPLICATE_OF) for trial in study.trials]
    assert duplicates == [None, None, None, 1]
    assert len(evaluator.seen) == 3


def test_a_trial_without_one_of_the_objectives_is_no_original() -> None:
    study = _study()
    _enqueue(study, CELL, CELL)
    evaluator = FakeEvaluator({"acc": 0.5})
    study.optimize(ArchitectureObjective(SPACE, evaluator, objectives=("acc",)), n_trials=1)
    evaluator.outcome = {"f1": 0.25}
    objective = ArchitectureObjective(SPACE, evaluator, objectives=("f1",), reuse_duplicates=True)
    study.optimize(objective, n_trials=1)
    assert study.trials[1].values == [0.25]


# Observers.


class Recorder:
    def __init__(self, name: str, events: list[tuple[Any, ...]]) -> None:
        self.name = name
        self.events = events

    def on_trial_start(self, trial: Trial, architecture: Architecture) -> None:
        assert ARCHITECTURE in trial.user_attrs
        self.events.append((self.name, "start", trial.number, SPACE.contains(architecture)))

    def on_epoch_end(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> None:
        self.events.append((self.name, "epoch", trial.number, epoch, metrics["acc"]))


def test_observers_follow_a_trial_in_their_order() -> None:
    events: list[tuple[Any, ...]] = []
    evaluator = FakeEvaluator({"acc": 0.8, "macs": 3}, (0.5, 0.75))
    objective = ArchitectureObjective(
        SPACE,
        evaluator,
        objectives=("acc", "macs"),
        observers=[Recorder("first", events), Recorder("second", events)],
    )
    _study(2).optimize(objective, n_trials=2)
    assert events == [
        event
        for number in (0, 1)
        for event in [
            ("first", "start", number, True),
            ("second", "start", number, True),
            ("first", "epoch", number, 0, 0.5),
            ("second", "epoch", number, 0, 0.5),
            ("first", "epoch", number, 1, 0.75),
            ("second", "epoch", number, 1, 0.75),
        ]
    ]


def test_observers_see_the_epoch_that_is_pruned() -> None:
    events: list[tuple[Any, ...]] = []
    objective = ArchitectureObjective(
        SPACE,
        FakeEvaluator({"acc": 0.1}, (0.1, 0.2)),
        objectives=("acc",),
        observers=[Recorder("only", events)],
    )
    pruner = optuna.pruners.ThresholdPruner(lower=0.15)
    study = _study(pruner=pruner)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].state == TrialState.PRUNED
    assert events == [("only", "start", 0, True), ("only", "epoch", 0, 0, 0.1)]


def test_an_observer_that_raises_fails_the_trial_before_the_evaluation() -> None:
    class Broken(Recorder):
        def on_trial_start(self, trial: Trial, architecture: Architecture) -> None:
            raise OSError("disk full")

    evaluator = FakeEvaluator({"acc": 0.8})
    objective = ArchitectureObjective(SPACE, evaluator, observers=[Broken("broken", [])])
    study = _study()
    study.optimize(objective, n_trials=1, catch=(OSError,))
    assert study.trials[0].user_attrs[FAIL_REASON] == "OSError: disk full"
    assert evaluator.seen == []


@pytest.mark.parametrize("objectives", [(), "acc", ("acc", "acc"), []])
def test_objectives_that_are_no_names(objectives: Any) -> None:
    with pytest.raises(ValueError, match="`objectives` to be different names but got"):
        ArchitectureObjective(SPACE, FakeEvaluator({}), objectives=objectives)
