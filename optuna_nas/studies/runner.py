"""Running the trials of a search, whatever evaluates them; needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import os
import sys
from typing import Any

import optuna
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from tqdm import tqdm

from lightning_modules.cli._errors import as_command_error
from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._tables import describe_trial
from optuna_nas.constraints import Constraint
from optuna_nas.evaluation import Evaluator
from optuna_nas.objective import ArchitectureObjective
from optuna_nas.spaces import SearchSpace
from optuna_nas.studies import full_disk as _full_disk
from optuna_nas.studies import recovery
from optuna_nas.studies import storages as _studies
from optuna_nas.studies.exhaustion import StopWhenExhausted
from optuna_nas.studies.interrupts import Interrupts
from optuna_nas.studies.interrupts import is_interrupt
from optuna_nas.tracking import MLflowTracker


_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class SearchRun:
    """A study with all that its trials need.

    Args:
        study: The study.
        objective: What ``study.optimize`` calls.
        objectives: Names of the objectives.
        tracker: Follows the trials.
        tracking_uri: Where it writes.
        n_trials: Finished trials that the study has at the end.
        timeout: Seconds after which no trial starts.
        progress: Whether to show a progress bar.
        exhaustion: Stops the trials when the space has nothing more to try.
    """

    study: optuna.Study
    objective: Callable[[optuna.Trial], float | Sequence[float]]
    objectives: Sequence[str]
    tracker: MLflowTracker
    tracking_uri: str
    n_trials: int
    timeout: float | None
    progress: bool
    exhaustion: StopWhenExhausted

    @classmethod
    def make(
        cls,
        space: SearchSpace,
        evaluate: Evaluator,
        *,
        objectives: Sequence[str],
        constraints: Sequence[Constraint],
        sampler: optuna.samplers.BaseSampler,
        pruner: optuna.pruners.BasePruner | None = None,
        storage: str,
        study_name: str,
        tracking_uri: str,
        settings: Mapping[str, Any],
        params: Mapping[str, Any],
        n_trials: int,
        timeout: float | None,
    ) -> SearchRun:
        """Open or create the study and connect it with evaluator and tracker.

        Args:
            space: The search space.
            evaluate: Measures an architecture.
            objectives: Names of the objectives.
            constraints: What is recorded on the trials.
            sampler: The strategy.
            pruner: What stops poor trials.
            storage: See :func:`~optuna_nas.studies.storages.open_storage`.
            study_name: Name of the study.
            tracking_uri: MLflow tracking URI.
            settings: What a continued study must have been made with.
            params: Settings to show in MLflow.
            n_trials: Finished trials that the study has at the end.
            timeout: Seconds after which no trial starts.

        Raises:
            CommandError: If the storage cannot be opened, the study has other settings or the
                tracking URI is empty, or the disk is full.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            tracker = MLflowTracker(
                study_name,
                tracking_uri=tracking_uri,
                objectives=objectives,
                space=space,
                params=params,
            )
        except ValueError as error:
            raise as_command_error(error) from error
        with _full_disk.explained(study_name):
            study = _studies.create_or_continue(
                _studies.open_storage(storage), study_name, sampler, objectives, settings, pruner
            )
        objective = recovery.Marked(
            ArchitectureObjective(
                space,
                evaluate,
                objectives=objectives,
                observers=[tracker],
                constraints=constraints,
            )
        )
        return cls(
            study,
            _full_disk.stopping(objective),
            objectives,
            tracker,
            tracking_uri,
            n_trials,
            timeout,
            show_progress(),
            StopWhenExhausted(space),
        )

    def run(self, prepare: Callable[[SearchRun], None] | None = None) -> None:
        """Run trials until ``n_trials`` are finished, those of earlier runs included.

        There are fewer if the space has no more architectures.

        Args:
            prepare: Called before them, unless they are finished already.
        """
        print(f"study: {self.study.study_name}{_where_to_look(self.tracking_uri)}", flush=True)
        abandoned = recovery.fail_abandoned_trials(self.study)
        self.tracker.start(self.study)
        if prepare is not None and self._n_finished() < self.n_trials:
            prepare(self)
        n_finished = self._n_finished()
        room = self.n_trials - n_finished
        room -= len(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))
        for trial in abandoned:  # Not more than will be run.
            repeated = room > 0 and recovery.repeat(self.study, trial)
            room -= repeated
            print(
                f"trial {trial.number} was broken off when its process ended; "
                f"{'it is repeated' if repeated else 'it counts as failed'}"
            )
        if n_finished >= self.n_trials:
            print(f"The study {self.study.study_name!r} has {n_finished} finished trials.")
            return
        if not self.exhaustion.is_exhausted(self.study):
            self._optimize(self.n_trials - n_finished)
        if self.exhaustion.is_exhausted(self.study) and self._n_finished() < self.n_trials:
            print(f"{self.exhaustion.sentence} The search ends before {self.n_trials} trials.")

    def _optimize(self, n_trials: int) -> None:
        self.study.optimize(
            self.objective,
            n_trials=n_trials,
            timeout=self.timeout,
            catch=(Exception,),
            callbacks=[
                self.tracker,
                self._print_trial,
                MaxTrialsCallback(self.n_trials, states=_FINISHED),
                self.exhaustion,
            ],
            show_progress_bar=self.progress,
        )

    def interrupted(self) -> None:
        """Leave no trial and no tracking run of this process running."""
        print("Interrupted; what is finished is kept.", flush=True)
        recovery.fail_own_trials(self.study, "interrupted by the user")
        self.tracker.interrupt(self.study)
        print(f"To go on: the same command with --study-name {self.study.study_name}")

    def _n_finished(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=_FINISHED))

    def complete(
        self,
        finish: Callable[[SearchRun], int],
        prepare: Callable[[SearchRun], None] | None = None,
    ) -> int:
        """Run the trials and then ``finish``; return its exit status, or 130 if interrupted.

        Args:
            finish: Called after the trials.
            prepare: See :meth:`run`.

        Raises:
            CommandError: If the disk is full.
        """
        with _full_disk.explained(self.study.study_name), Interrupts():
            try:
                self.run(prepare)
                return finish(self)
            except (KeyboardInterrupt, Exception) as error:
                if not is_interrupt(error):
                    raise
                self.interrupted()
                return 130
            finally:
                self.tracker.close(self.study)

    def _print_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        tqdm.write(describe_trial(trial, self.objectives))


def check_options(
    objectives: Sequence[str],
    n_trials: int,
    epochs: int,
    final_epochs: int | None,
    timeout: float | None,
    known: Sequence[str],
) -> None:
    """Raise a CommandError if a number or the name of an objective is wrong.

    Args:
        objectives: Names of the objectives.
        n_trials: Number of trials.
        epochs: Epochs of a trial.
        final_epochs: Epochs of the finished network.
        timeout: Seconds.
        known: Names that an objective can have.
    """
    unknown = [name for name in objectives if name not in known]
    if unknown or len(set(objectives)) != len(objectives):
        raise CommandError(
            f"Expected option --objectives to be different names of {', '.join(known)} "
            f"but got {' '.join(objectives)}."
        )
    for option, value in [("n-trials", n_trials), ("epochs", epochs)]:
        if value < 1:
            raise CommandError(f"Expected option --{option} to be at least 1 but got {value}.")
    if final_epochs is not None and final_epochs < 1:
        raise CommandError(
            f"Expected option --final-epochs to be at least 1 but got {final_epochs}."
        )
    if timeout is not None and timeout <= 0:
        raise CommandError(f"Expected option --timeout to be above 0 but got {timeout}.")


def _where_to_look(tracking_uri: str) -> str:
    if not tracking_uri.startswith("sqlite:"):
        return ""
    return f"; follow it with: mlflow ui --backend-store-uri {tracking_uri}"


def show_progress() -> bool:
    """Tell whether a progress bar would be seen."""
    return sys.stderr.isatty() and "CI" not in os.environ
