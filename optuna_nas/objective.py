"""The objective of an architecture search: from a trial to the values of its architecture."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Any
from typing import Protocol

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import Trial
from optuna.trial import TrialState

from optuna_nas.constraints import Constraint
from optuna_nas.evaluation import Evaluation
from optuna_nas.evaluation import Evaluator
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


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
INFEASIBLE = "infeasible"
"""Trial user attribute: the constraint for which a pruned trial was not evaluated, e.g.
``"params<=100000 but got 120000"``."""
DUPLICATE_OF = "duplicate_of"
"""Trial user attribute: number of the earlier trial whose values the trial has."""


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

    Example:

        >>> import optuna
        >>> from optuna_nas import CellSpace
        >>> from optuna_nas import Constraint
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> def convolutions(architecture):
        ...     return list(architecture.values()).count("nor_conv_3x3")
        >>> def evaluate(architecture, *, report=None):
        ...     return {"quality": convolutions(architecture) / 6}
        >>> few = Constraint("convolutions", upper=2, function=convolutions)
        >>> study = optuna.create_study(direction="maximize")
        >>> objective = ArchitectureObjective(
        ...     CellSpace(), evaluate, objectives=["quality"], constraints=[few]
        ... )
        >>> study.optimize(objective, n_trials=60)
        >>> study.best_value <= 2 / 6
        True

    Args:
        space: The search space to suggest from.
        evaluate: Measures an architecture, e.g.
            :class:`lightning_modules.TrainingEvaluator`; see :class:`~optuna_nas.Evaluator`.
        objectives: Names of the measured values to return, in the order of the study's directions;
            by default the first of the evaluator's ``metrics``.
        observers: Followers of the running trial.
        constraints: Recorded on the trial by their text, e.g. ``"params<=100000"``, as Optuna's
            constraint values (:meth:`Constraint.violation`). Those with a function are recorded
            before the evaluation; where one is broken, there is none: the trial ends as PRUNED,
            with the attribute :data:`INFEASIBLE`. The others bound metrics that ``evaluate``
            returns.
        reuse_duplicates: Whether an architecture that is a repetition by its canonical key is
            answered from the study instead of evaluated: from the first completed trial with the
            same parameters outside the space. Metrics, curves and constraints are copied, and the
            attribute :data:`DUPLICATE_OF` tells its number. Nothing is reported to the pruner.

    Raises:
        ValueError: If ``objectives`` is empty or repeats a name, or a constraint is given twice.
    """

    def __init__(
        self,
        space: SearchSpace,
        evaluate: Evaluator,
        *,
        objectives: Sequence[str] | None = None,
        observers: Sequence[TrialObserver] = (),
        constraints: Sequence[Constraint] = (),
        reuse_duplicates: bool = False,
    ) -> None:
        if objectives is None:
            objectives = list(getattr(evaluate, "metrics", ()))[:1]
            if not objectives:
                raise ValueError(
                    "Expected argument `objectives` to be names, as the evaluator does not tell "
                    "its `metrics`, but got None."
                )
        if (
            isinstance(objectives, str)
            or not objectives
            or len(set(objectives)) != len(objectives)
        ):
            raise ValueError(
                f"Expected argument `objectives` to be different names but got {objectives!r}."
            )
        names = [str(constraint) for constraint in constraints]
        if len(set(names)) != len(names):
            raise ValueError(
                f"Expected argument `constraints` to be different constraints but got {names}."
            )
        self.space = space
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self.reuse_duplicates = reuse_duplicates
        self._evaluate = evaluate
        self._observers = tuple(observers)

    def __call__(self, trial: Trial) -> float | tuple[float, ...]:
        """Return the objectives of the trial's architecture.

        Raises:
            ValueError: If the study has another number of directions, or ``evaluate`` does not
                return one of the objectives or of the constrained metrics.
            optuna.TrialPruned: If the study's pruner says so, or the architecture breaks a
                constraint that needs no evaluation.
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
        broken = self._check_without_training(trial, architecture)
        for observer in self._observers:
            observer.on_trial_start(trial, architecture)
        if broken:
            raise optuna.TrialPruned(f"Not evaluated: {broken}.")
        original = self._original(trial) if self.reuse_duplicates else None
        metrics: Mapping[str, float]
        if original is not None:
            metrics = self._copy(original, trial)
        else:
            metrics = self._measure(trial, architecture).metrics
        self._record_measured(trial, metrics)
        values = self._values(metrics)
        if any(map(math.isnan, values)):  # Optuna lets the trial fail.
            measured = dict(zip(self.objectives, values, strict=True))
            trial.set_user_attr(FAIL_REASON, f"not a number: {measured}")
        return values if len(values) > 1 else values[0]

    def _check_without_training(self, trial: Trial, architecture: Architecture) -> str:
        """Record the cheap constraints; return the first that is broken, or an empty text."""
        broken = ""
        for constraint in self.constraints:
            if constraint.is_cheap:
                value = constraint.value_of(architecture)
                violation = constraint.violation(value)
                trial.set_constraint(str(constraint), violation)
                if violation > 0 and not broken:
                    broken = f"{constraint} but got {value:g}"
                    trial.set_user_attr(INFEASIBLE, broken)
        return broken

    def _record_measured(self, trial: Trial, metrics: Mapping[str, float]) -> None:
        for constraint in self.constraints:
            if constraint.is_cheap:
                continue
            if constraint.metric not in metrics:
                raise ValueError(
                    f"Expected `evaluate` to return the metric `{constraint.metric}` of the "
                    f"constraint {constraint} but got {sorted(metrics)}."
                )
            violation = constraint.violation(float(metrics[constraint.metric]))
            trial.set_constraint(str(constraint), violation)

    def _original(self, trial: Trial) -> FrozenTrial | None:
        """Return the first completed trial that has measured what ``trial`` would measure."""
        key = trial.user_attrs[CANONICAL_KEY]
        wanted = {*self.objectives, *(c.metric for c in self.constraints if not c.is_cheap)}
        others = self._outside_space(trial.params)
        completed = trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        for candidate in completed:
            attributes = candidate.user_attrs
            if (
                attributes.get(CANONICAL_KEY) == key
                and DUPLICATE_OF not in attributes
                and wanted <= set(attributes.get(METRICS, ()))
                and self._outside_space(candidate.params) == others
            ):
                return candidate
        return None

    def _copy(self, original: FrozenTrial, trial: Trial) -> dict[str, float]:
        """Copy what ``original`` measured to ``trial``; return its metrics."""
        metrics: dict[str, float] = original.user_attrs[METRICS]
        trial.set_user_attr(DUPLICATE_OF, original.number)
        trial.set_user_attr(METRICS, metrics)
        if CURVES in original.user_attrs:
            trial.set_user_attr(CURVES, original.user_attrs[CURVES])
        own = {str(constraint) for constraint in self.constraints}
        for name, value in original.constraints.items():
            if name not in own:
                trial.set_constraint(name, value)
        return metrics

    def _outside_space(self, params: Mapping[str, Any]) -> dict[str, Any]:
        decisions = self.space.distributions
        return {name: value for name, value in params.items() if name not in decisions}

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

    def _values(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        missing = [name for name in self.objectives if name not in metrics]
        if missing:
            raise ValueError(
                f"Expected `evaluate` to return the objectives {list(self.objectives)} "
                f"but got {sorted(metrics)}."
            )
        return tuple(float(metrics[name]) for name in self.objectives)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500]
