"""The objective of an architecture search: from a trial to the values of its architecture."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Protocol

import optuna
from optuna.trial import Trial

from optuna_nas.evaluation import Evaluation
from optuna_nas.evaluation import Evaluator
from optuna_nas.search_space import Architecture
from optuna_nas.search_space import SearchSpace


ARCHITECTURE = "architecture"
"""Trial user attribute: the string encoding of the trial's architecture."""
CANONICAL_KEY = "canonical_key"
"""Trial user attribute: the canonical key of the trial's architecture."""
METRICS = "metrics"
"""Trial user attribute: all measured values by name, objectives included."""
CURVES = "curves"
"""Trial user attribute: per-epoch values by metric name, each a list from epoch 0 on.

An epoch for which a metric was not reported is NaN.
"""
FAIL_REASON = "fail_reason"
"""Trial user attribute: why the trial failed, in one line."""


class TrialObserver(Protocol):
    """Something that follows a trial while it runs, e.g. a tracker."""

    def on_trial_start(self, trial: Trial, architecture: Architecture) -> None:
        """Called when the architecture is chosen and before anything expensive."""
        ...

    def on_epoch_end(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> None:
        """Called after each epoch, counted from 0."""
        ...


class ArchitectureObjective:
    """A callable for ``study.optimize``: suggests an architecture and evaluates it.

    The trial's user attributes keep the architecture (:data:`ARCHITECTURE`), its canonical key,
    all metrics, the per-epoch curves and, if it failed, the reason. With a single objective, the
    objective is reported after each epoch, so that any Optuna pruner works.

    Args:
        space: The search space to suggest from.
        evaluate: Measures an architecture, e.g.
            :class:`lightning_modules.TrainingEvaluator`; see :class:`~optuna_nas.Evaluator`.
        objectives: Names of the measured values to return, in the order of the study's directions.
        observers: Followers of the running trial.

    Raises:
        ValueError: If ``objectives`` is empty or repeats a name.
    """

    def __init__(
        self,
        space: SearchSpace,
        evaluate: Evaluator,
        *,
        objectives: Sequence[str] = ("val_accuracy",),
        observers: Sequence[TrialObserver] = (),
    ) -> None:
        if (
            isinstance(objectives, str)
            or not objectives
            or len(set(objectives)) != len(objectives)
        ):
            raise ValueError(
                f"Expected argument `objectives` to be different names but got {objectives!r}."
            )
        self.space = space
        self.objectives = tuple(objectives)
        self._evaluate = evaluate
        self._observers = tuple(observers)

    def __call__(self, trial: Trial) -> float | tuple[float, ...]:
        """Return the objectives of the trial's architecture.

        Raises:
            ValueError: If the study has another number of directions, or ``evaluate`` does not
                return one of the objectives.
            optuna.TrialPruned: If the study's pruner says so.
        """
        try:
            return self._evaluate_trial(trial)
        except optuna.TrialPruned:
            raise
        except SystemExit as error:  # Optuna would leave the trial RUNNING.
            trial.set_user_attr(FAIL_REASON, f"SystemExit: {error.code}")
            raise RuntimeError(f"The evaluation called sys.exit({error.code!r}).") from error
        except KeyboardInterrupt:
            trial.set_user_attr(FAIL_REASON, "interrupted by the user")
            raise
        except Exception as error:
            trial.set_user_attr(FAIL_REASON, _one_line(error))
            raise

    def _evaluate_trial(self, trial: Trial) -> float | tuple[float, ...]:
        n_directions = len(trial.study.directions)
        if n_directions != len(self.objectives):  # Optuna says so after the training only.
            raise ValueError(
                f"Expected the study to have a direction for each of the objectives "
                f"{list(self.objectives)} but got {n_directions} directions."
            )
        architecture = self.space.suggest(trial)
        trial.set_user_attr(ARCHITECTURE, self.space.to_string(architecture))
        trial.set_user_attr(CANONICAL_KEY, self.space.canonical_key(architecture))
        for observer in self._observers:
            observer.on_trial_start(trial, architecture)
        values = self._values(self._measure(trial, architecture))
        if any(map(math.isnan, values)):  # Optuna lets the trial fail.
            measured = dict(zip(self.objectives, values, strict=True))
            trial.set_user_attr(FAIL_REASON, f"not a number: {measured}")
        return values if len(values) > 1 else values[0]

    def _measure(self, trial: Trial, architecture: Architecture) -> Evaluation:
        single = len(self.objectives) == 1
        curves: dict[str, list[float]] = {}

        def report(epoch: int, metrics: Mapping[str, float]) -> None:
            metrics = {name: float(value) for name, value in metrics.items()}
            for name, value in metrics.items():
                curve = curves.setdefault(name, [])
                curve += [math.nan] * (epoch - len(curve))
                curve.append(value)
            for observer in self._observers:
                observer.on_epoch_end(trial, epoch, metrics)
            if single and self.objectives[0] in metrics:
                trial.report(metrics[self.objectives[0]], epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned(f"Pruned after epoch {epoch}.")

        try:
            measured = self._evaluate(architecture, report=report)
        finally:
            if curves:
                trial.set_user_attr(CURVES, curves)
        if not isinstance(measured, Evaluation | Mapping):
            raise ValueError(
                f"Expected `evaluate` to return an Evaluation or a mapping but got {measured!r}."
            )
        evaluation = measured if isinstance(measured, Evaluation) else Evaluation(measured)
        metrics = {name: float(value) for name, value in evaluation.metrics.items()}
        trial.set_user_attr(METRICS, metrics)
        for name, value in evaluation.constraints.items():
            trial.set_constraint(name, value)
        return evaluation

    def _values(self, evaluation: Evaluation) -> tuple[float, ...]:
        missing = [name for name in self.objectives if name not in evaluation.metrics]
        if missing:
            raise ValueError(
                f"Expected `evaluate` to return the objectives {list(self.objectives)} "
                f"but got {sorted(evaluation.metrics)}."
            )
        return tuple(float(evaluation.metrics[name]) for name in self.objectives)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500]
