"""Running the trials of a study up to a number, whatever evaluates them; needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
import os
import sys
from typing import Any

import optuna
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas.constraints import Constraint
from optuna_nas.evaluation import Evaluator
from optuna_nas.metrics import Metric
from optuna_nas.objective import ArchitectureObjective
from optuna_nas.spaces import SearchSpace
from optuna_nas.studies import full_disk
from optuna_nas.studies import recovery
from optuna_nas.studies import storages
from optuna_nas.studies.exhaustion import StopWhenExhausted
from optuna_nas.studies.front import best_trials
from optuna_nas.studies.interrupts import Interrupts
from optuna_nas.studies.interrupts import is_interrupt
from optuna_nas.tracking import MLflowTracker


_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class Reporter:
    """Told of what a search does; this one is silent."""

    def say(self, text: str) -> None:
        """Take a sentence for the user."""

    def on_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Take a finished trial."""

    def on_front(self, study: optuna.Study, front: Sequence[FrozenTrial]) -> None:
        """Take the best trials, when all are finished."""


@dataclass
class StudyRun:
    """A study with all that its trials need; a killed run is continued by its name.

    Args:
        space: The search space.
        evaluate: Measures an architecture.
        objectives: The metrics to optimise, the most important first.
        sampler: The strategy.
        constraints: What is recorded on the trials.
        pruner: What stops poor trials.
        storage: See :func:`~optuna_nas.studies.open_storage`.
        study_name: Name of the study.
        tracking_uri: MLflow tracking URI.
        settings: What a continued study must have been made with, in plain JSON types.
        params: Settings to show in MLflow.
        n_trials: Finished trials that the study has at the end.
        timeout: Seconds after which no trial starts.
        progress: Whether to show a progress bar.
        reporter: Told of what happens.

    Raises:
        ValueError: If the storage cannot be opened, the study has other settings or the tracking
            URI is empty.
        StorageFullError: If the disk is full.
    """

    space: SearchSpace
    evaluate: Evaluator
    objectives: Sequence[Metric]
    sampler: optuna.samplers.BaseSampler
    constraints: Sequence[Constraint] = ()
    pruner: optuna.pruners.BasePruner | None = None
    storage: str = "sqlite:///optuna.db"
    study_name: str = "search"
    tracking_uri: str = "sqlite:///mlflow.db"
    settings: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    n_trials: int = 20
    timeout: float | None = None
    progress: bool = False
    reporter: Reporter = field(default_factory=Reporter)

    def __post_init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        names = [metric.name for metric in self.objectives]
        self.tracker = MLflowTracker(
            self.study_name,
            tracking_uri=self.tracking_uri,
            objectives=names,
            space=self.space,
            params=self.params,
        )
        with full_disk.explained(self.study_name):
            self.study = storages.create_or_continue(
                storages.open_storage(self.storage),
                self.study_name,
                self.sampler,
                self.objectives,
                self.settings,
                self.pruner,
            )
        objective = ArchitectureObjective(
            self.space,
            self.evaluate,
            objectives=names,
            observers=[self.tracker],
            constraints=self.constraints,
        )
        self._objective = full_disk.stopping(recovery.Marked(objective))
        self._exhaustion = StopWhenExhausted(self.space)

    @contextmanager
    def open(self) -> Iterator[StudyRun]:
        """Run inside of this ``with`` block: interrupts and a full disk leave the study fit.

        Raises:
            KeyboardInterrupt: After what is unfinished has been given up, at SIGINT or SIGTERM.
            StorageFullError: If the disk is full.
        """
        with full_disk.explained(self.study.study_name), Interrupts():
            try:
                yield self
            except (KeyboardInterrupt, Exception) as error:
                if not is_interrupt(error):
                    raise
                self._give_up()
                raise KeyboardInterrupt from error
            finally:
                self.tracker.close(self.study)

    def run(self, prepare: Callable[[StudyRun], None] | None = None) -> list[FrozenTrial]:
        """Run trials until ``n_trials`` are finished, those of earlier runs included.

        There are fewer if the space has no more architectures.

        Args:
            prepare: Called before them, unless they are finished already.

        Returns:
            The best trials; see :func:`~optuna_nas.studies.best_trials`.
        """
        say = self.reporter.say
        say(f"study: {self.study.study_name}{_where_to_look(self.tracking_uri)}")
        abandoned = recovery.fail_abandoned_trials(self.study)
        self.tracker.start(self.study)
        if prepare is not None and self._n_finished() < self.n_trials:
            prepare(self)
        n_finished = self._n_finished()
        self._repeat(abandoned, self.n_trials - n_finished)
        if n_finished >= self.n_trials:
            say(f"The study {self.study.study_name!r} has {n_finished} finished trials.")
        else:
            if not self._exhaustion.is_exhausted(self.study):
                self._optimize(self.n_trials - n_finished)
            if self._exhaustion.is_exhausted(self.study) and self._n_finished() < self.n_trials:
                say(f"{self._exhaustion.sentence} The search ends before {self.n_trials} trials.")
        front = best_trials(self.study)
        self.reporter.on_front(self.study, front)
        return front

    def _repeat(self, abandoned: Sequence[FrozenTrial], room: int) -> None:
        """Enqueue trials whose process was killed, but not more than will be run."""
        room -= len(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))
        for trial in abandoned:
            repeated = room > 0 and recovery.repeat(self.study, trial)
            room -= repeated
            self.reporter.say(
                f"trial {trial.number} was broken off when its process ended; "
                f"{'it is repeated' if repeated else 'it counts as failed'}"
            )

    def _optimize(self, n_trials: int) -> None:
        self.study.optimize(
            self._objective,
            n_trials=n_trials,
            timeout=self.timeout,
            catch=(Exception,),
            callbacks=[
                self.tracker,
                self.reporter.on_trial,
                MaxTrialsCallback(self.n_trials, states=_FINISHED),
                self._exhaustion,
            ],
            show_progress_bar=self.progress,
        )

    def _give_up(self) -> None:
        """Leave no trial and no tracking run of this process running."""
        self.reporter.say("Interrupted; what is finished is kept.")
        recovery.fail_own_trials(self.study, "interrupted by the user")
        self.tracker.interrupt(self.study)
        self.reporter.say(
            f"To go on: the same search with argument `study_name` {self.study.study_name}"
        )

    def _n_finished(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=_FINISHED))


def _where_to_look(tracking_uri: str) -> str:
    if not tracking_uri.startswith("sqlite:"):
        return ""
    return f"; follow it with: mlflow ui --backend-store-uri {tracking_uri}"


def show_progress() -> bool:
    """Tell whether a progress bar would be seen."""
    return sys.stderr.isatty() and "CI" not in os.environ
