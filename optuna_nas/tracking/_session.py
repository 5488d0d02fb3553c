"""The MLflow side of one study: its parent run and, through it, the runs of its trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
import time

from optuna.study import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import Trial
from optuna.trial import TrialState

from optuna_nas.objective import ARCHITECTURE
from optuna_nas.prior import Prior
from optuna_nas.spaces import Architecture
from optuna_nas.tracking._connection import alone
from optuna_nas.tracking._connection import connect
from optuna_nas.tracking._connection import OwnProblem
from optuna_nas.tracking._drawing import to_png
from optuna_nas.tracking._final import digest_of
from optuna_nas.tracking._final import fill_final
from optuna_nas.tracking._final import start_final
from optuna_nas.tracking._final import TRIAL
from optuna_nas.tracking._front import Front
from optuna_nas.tracking._front import is_feasible
from optuna_nas.tracking._parent import ensure_parent
from optuna_nas.tracking._parent import objective_names
from optuna_nas.tracking._parent import Settings
from optuna_nas.tracking._plots import plot_study
from optuna_nas.tracking._plots import TrialPoint
from optuna_nas.tracking._records import millis
from optuna_nas.tracking._records import params_of
from optuna_nas.tracking._records import Point
from optuna_nas.tracking._records import RUN_ID
from optuna_nas.tracking._records import safe_key
from optuna_nas.tracking._runs import PARENT
from optuna_nas.tracking._runs import TrialRuns
from optuna_nas.tracking._supernet import Stage
from optuna_nas.tracking._supernet import StageRun
from optuna_nas.tracking._table import summary
from optuna_nas.tracking._table import trials_table


_MARK_SECONDS = 10
_FIGURE_SHARE = 20  # Figures are drawn again after this many times the time they took.


class StudySession:
    """Connects to MLflow, finds or makes the parent run and brings all runs up to date.

    Args:
        study: The study.
        settings: What the user told the tracker.
        live: See :class:`TrialRuns`.
        stage: The supernet stage before the trials; the caller keeps it, too.
        report: Told of problems that do not come from the connection.
    """

    def __init__(
        self,
        study: Study,
        settings: Settings,
        *,
        live: dict[int, set[tuple[str, int]]],
        stage: Stage,
        report: Callable[[Exception], None],
    ) -> None:
        self._study = study
        self._objectives = objective_names(study, settings.objectives)
        self._maximize = [d == StudyDirection.MAXIMIZE for d in study.directions]
        self._uri = settings.tracking_uri
        self._connection = connect(
            settings.tracking_uri,
            settings.experiment or study.study_name,
            settings.artifact_location,
        )
        self._parent_id = ensure_parent(self._connection, study, settings)
        self._front = Front(study.directions)
        self._live = live
        self._stage = stage
        self._stage_run: StageRun | None = None
        self._report = report
        self._runs = TrialRuns(
            self._connection,
            self._parent_id,
            self._objectives,
            space=settings.space,
            live=live,
            report=report,
        )
        self._next_figures = time.monotonic() + 10
        self._next_mark = time.monotonic() + _MARK_SECONDS
        self._bring_up_to_date(everything=False)

    def _bring_up_to_date(self, *, everything: bool) -> None:
        trials = self._study.get_trials(deepcopy=False)
        self._runs.load()
        logged = self._runs.reconcile(trials, self._front.update(trials), everything=everything)
        points = [p for trial in logged for p in self._progress(trials, trial)]
        self._connection.log(self._parent_id, points=points)

    def start_trial(self, trial: Trial, architecture: Architecture) -> None:
        """Make the run of a trial that starts now."""
        text = trial.user_attrs.get(ARCHITECTURE)
        tags = {ARCHITECTURE: str(text)} if text else {}
        run_id = self._runs.start(trial.number, trial.datetime_start, tags)
        self._runs.log_start(trial.number, params_of(trial.params), architecture)
        trial.set_user_attr(RUN_ID, run_id)

    def log_epoch(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch of a running trial."""
        self._runs.log_epoch(number, epoch, metrics)

    def finish_trial(self, trial: FrozenTrial) -> None:
        """Log a finished trial and what it changes in the study."""
        trials = self._study.get_trials(deepcopy=False)
        front = self._front.update([*trials, trial])
        self._runs.finish(trial, on_front=trial.number in front)
        self._runs.mark_front(front)
        self._connection.log(self._parent_id, points=self._progress(trials, trial))
        self._keep_running()
        if time.monotonic() >= self._next_figures:
            started = time.monotonic()
            self._log_figures(trials)
            now = time.monotonic()
            self._next_figures = now + _FIGURE_SHARE * (now - started)

    def _keep_running(self) -> None:
        """Say now and then that the study goes on: another process may have closed it."""
        if time.monotonic() >= self._next_mark:
            self._connection.client.update_run(self._parent_id, status="RUNNING")
            self._next_mark = time.monotonic() + _MARK_SECONDS

    def log_final(self, number: int, metrics: Mapping[str, float], path: Path | None) -> None:
        """Log the finished model as a run of its own, its metrics also on study and trial."""
        with alone(self._uri):  # Else another process could take the run for an abandoned one.
            run_id = start_final(
                self._connection, self._parent_id, digest_of(path, number, metrics)
            )
            if run_id is not None:
                self._fill_final(run_id, number, metrics, path)

    def _fill_final(
        self, run_id: str, number: int, metrics: Mapping[str, float], path: Path | None
    ) -> None:
        now = millis(None)
        points = [Point(safe_key(name), value, now, 0) for name, value in metrics.items()]
        self._connection.log(self._parent_id, points=points, tags={TRIAL: str(number)})
        if self._runs.has(number):
            self._runs.log_points(number, points)
        trial = self._study.get_trials(deepcopy=False)[number]
        self._runs.log_architecture(run_id, trial)
        tags = {TRIAL: str(number)}
        if ARCHITECTURE in trial.user_attrs:
            tags[ARCHITECTURE] = str(trial.user_attrs[ARCHITECTURE])
        fill_final(self._connection, run_id, points=points, tags=tags, path=path)

    def log_stage(self) -> None:
        """Make the run of the supernet stage and log its epochs."""
        self._supernet().log_epochs()

    def log_supernet(self, prior: Prior, architecture: Architecture, path: Path | None) -> None:
        """Log what the stage leaves; the heat map also on the run of the study."""
        heat_map = self._supernet().finish(prior, architecture, path)
        if heat_map:
            files = {f"supernet_{name}": content for name, content in heat_map.items()}
            self._connection.log_files(self._parent_id, files)

    def fail_stage(self) -> None:
        """End the run of a stage that an error stopped."""
        self._supernet().end("FAILED")

    def _supernet(self) -> StageRun:
        if self._stage_run is None:
            self._stage_run = StageRun(
                self._connection, self._stage, {PARENT: self._parent_id}, report=self._report
            )
        return self._stage_run

    def interrupt(self, since: datetime) -> None:
        """End the runs of the trials that an interruption broke off.

        Args:
            since: When this process began; earlier trials are not its own.
        """
        front = self._front.numbers
        for trial in self._study.get_trials(deepcopy=False):
            own = trial.datetime_start is not None and trial.datetime_start >= since
            known = trial.number in self._live or not self._runs.has(trial.number)
            if trial.state == TrialState.FAIL and own and known:
                self._runs.finish(trial, on_front=trial.number in front, interrupted=True)
        self._kill_live()

    def _kill_live(self) -> None:
        for number in list(self._live):
            self._runs.kill(number)
        if self._stage.running:
            self._supernet().end("KILLED")

    def close(self) -> None:
        """Bring everything up to date, draw the figures and end the parent run."""
        self._bring_up_to_date(everything=True)
        self._kill_live()
        self._log_figures(self._study.get_trials(deepcopy=False))
        self._connection.client.set_terminated(self._parent_id, "FINISHED")

    def _progress(self, trials: Sequence[FrozenTrial], trial: FrozenTrial) -> list[Point]:
        """Return the state of the study when ``trial`` ended: counts and best values."""
        end = trial.datetime_complete
        if end is None:
            return []
        ended = [t for t in trials if t.datetime_complete and t.datetime_complete <= end]
        counts = Counter(t.state for t in ended)
        values = {
            "trials_complete": counts[TrialState.COMPLETE],
            "trials_pruned": counts[TrialState.PRUNED],
            "trials_failed": counts[TrialState.FAIL],
        }
        ranked = [t.values for t in ended if t.state == TrialState.COMPLETE and is_feasible(t)]
        for i, (name, maximize) in enumerate(zip(self._objectives, self._maximize, strict=True)):
            if ranked:
                values[f"best_{name}"] = (max if maximize else min)(v[i] for v in ranked)
        return [Point(safe_key(k), v, millis(end), trial.number) for k, v in values.items()]

    def _log_figures(self, trials: Sequence[FrozenTrial]) -> None:
        front = self._front.update(trials)
        points = [
            TrialPoint(t.number, tuple(t.values), is_feasible(t), t.number in front)
            for t in trials
            if t.state == TrialState.COMPLETE
        ]
        name = "pareto_front.png" if len(self._objectives) > 1 else "optimization_history.png"
        files = {"trials.csv": trials_table(trials, self._objectives, front).encode()}
        with OwnProblem(self._report, anything=True):
            files[name] = to_png(plot_study(points, self._objectives, self._maximize))
        self._connection.log_files(self._parent_id, files)
        note = summary(trials, self._objectives, front, maximize=self._maximize[0])
        self._connection.log(self._parent_id, tags={"mlflow.note.content": note})
