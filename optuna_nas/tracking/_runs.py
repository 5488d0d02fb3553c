"""The child runs of a study: one MLflow run for each trial."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from datetime import timedelta
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas.objective import FAIL_REASON
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace
from optuna_nas.tracking._connection import Connection
from optuna_nas.tracking._connection import OwnProblem
from optuna_nas.tracking._files import architecture_files
from optuna_nas.tracking._records import flag
from optuna_nas.tracking._records import INTERRUPTED
from optuna_nas.tracking._records import millis
from optuna_nas.tracking._records import Point
from optuna_nas.tracking._records import safe_key
from optuna_nas.tracking._records import trial_record


if TYPE_CHECKING:
    from mlflow.entities import Run


NUMBER = "optuna.trial_number"
PARENT = "mlflow.parentRunId"
_GRACE = timedelta(seconds=5)
_ENDED = {
    TrialState.COMPLETE: ("FINISHED",),
    TrialState.PRUNED: ("KILLED",),
    TrialState.FAIL: ("FAILED", "KILLED"),
}


class TrialRuns:
    """Makes, fills and ends the runs of the trials of one study.

    Args:
        connection: The experiment.
        parent_id: The run of the study.
        objectives: Names of the objectives.
        space: The search space, if architectures are to be drawn.
        live: For each trial that this process runs the metrics and epochs that are logged. The
            caller keeps it when a connection is lost and made again.
        report: Told of problems that concern one trial alone.
    """

    def __init__(
        self,
        connection: Connection,
        parent_id: str,
        objectives: Sequence[str],
        *,
        space: SearchSpace | None,
        live: dict[int, set[tuple[str, int]]],
        report: Callable[[Exception], None],
    ) -> None:
        self._connection = connection
        self._parent_id = parent_id
        self._objectives = objectives
        self._space = space
        self._live = live
        self._report = report
        self._ids: dict[int, str] = {}
        self._found: dict[int, Run] = {}
        self._done: set[int] = set()
        self._drawn: set[int] = set()
        self._pareto: dict[int, bool] = {}

    def load(self) -> None:
        """Read which trials have a run already."""
        for run in reversed(self._connection.search({PARENT: self._parent_id})):
            number = run.data.tags.get(NUMBER, "")
            if number.isdigit():
                self._adopt(int(number), run)

    def _adopt(self, number: int, run: Run) -> None:
        self._ids[number] = run.info.run_id
        self._found[number] = run
        self._pareto[number] = run.data.tags.get("pareto") == "true"

    def start(
        self, number: int, start: datetime | None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Make the run of a trial, unless there is one, and return its id."""
        if number not in self._ids:
            self._ids[number] = self._connection.create_run(
                f"trial-{number:04d}",
                millis(start),
                {PARENT: self._parent_id, NUMBER: str(number), **(tags or {})},
            )
        return self._ids[number]

    def log_start(
        self, number: int, params: Mapping[str, str], architecture: Architecture
    ) -> None:
        """Log what is known before the trial is measured."""
        self._live.setdefault(number, set())
        self._connection.log(self._ids[number], params=params)
        self._log_architecture(self._ids[number], architecture)
        self._drawn.add(number)

    def log_epoch(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch of a trial that has been started."""
        if number not in self._ids or number not in self._live:
            return
        now = millis(None)
        points = [Point(safe_key(name), value, now, epoch) for name, value in metrics.items()]
        self._connection.log(self._ids[number], points=points)
        self._live[number].update((name, epoch) for name in metrics)

    def log_points(self, number: int, points: Sequence[Point]) -> None:
        """Log more values of a trial that has a run."""
        self._connection.log(self._ids[number], points=points)

    def has(self, number: int) -> bool:
        """Tell whether the trial is known to have a run."""
        return number in self._ids

    def finish(self, trial: FrozenTrial, *, on_front: bool, interrupted: bool = False) -> None:
        """Log all that is not logged yet of a finished trial and end its run."""
        number = trial.number
        if number in self._done:
            return
        if number not in self._ids and not self._find(number):
            self.start(number, trial.datetime_start or trial.datetime_complete)
        run_id = self._ids[number]
        record = trial_record(
            trial, self._objectives, is_logged=lambda *point: self._is_logged(number, *point)
        )
        tags = {**record.tags, "pareto": flag(on_front)}
        if interrupted:
            tags.setdefault(FAIL_REASON, INTERRUPTED)
        elif number in self._found and number not in self._live and record.status == "FAILED":
            tags.setdefault(FAIL_REASON, "unknown; the process may have been killed")
        with OwnProblem(self._report):
            self._connection.log(run_id, points=record.points, params=record.params, tags=tags)
        self._pareto[number] = on_front
        if number not in self._drawn and not self._has_files(number):
            self.log_architecture(run_id, trial)
        status = "KILLED" if interrupted else record.status
        self._connection.client.set_terminated(run_id, status, record.end)
        self._live.pop(number, None)
        self._done.add(number)

    def kill(self, number: int) -> None:
        """End the run of a trial that this process does not go on with."""
        self._live.pop(number, None)
        if number in self._ids and number not in self._done:
            self._connection.client.set_terminated(self._ids[number], "KILLED")

    def reconcile(
        self, trials: Sequence[FrozenTrial], front: frozenset[int], *, everything: bool
    ) -> list[FrozenTrial]:
        """Make the runs agree with the trials, as far as this is not another process' business.

        Args:
            trials: All trials of the study.
            front: Numbers of the best trials.
            everything: Whether to make runs also of trials that have just finished, which the
                process that ran them may be about to log.

        Returns:
            The trials that had not been logged.
        """
        logged = []
        for trial in trials:
            run = self._found.get(trial.number)
            if not trial.state.is_finished() or trial.number in self._done:
                continue
            if run is not None and run.info.status in _ENDED[trial.state]:
                self._done.add(trial.number)
            elif run is not None or everything or _is_old(trial):
                self.finish(trial, on_front=trial.number in front)
                logged.append(trial)
        self.mark_front(front)
        return logged

    def mark_front(self, front: frozenset[int]) -> None:
        """Correct the tag ``pareto`` of the trials that entered or left the front."""
        marked = {number for number, is_on in self._pareto.items() if is_on}
        for number in marked ^ front:
            if number in self._ids or self._find(number):
                run_id = self._ids[number]
                self._connection.client.set_tag(run_id, "pareto", flag(number in front))
                self._pareto[number] = number in front

    def _find(self, number: int) -> bool:
        """Look for a run that another process has made for the trial."""
        runs = self._connection.search({PARENT: self._parent_id, NUMBER: str(number)})
        if runs:
            self._adopt(number, runs[0])
        return bool(runs)

    def _has_files(self, number: int) -> bool:
        found = number in self._found
        return found and bool(self._connection.client.list_artifacts(self._ids[number]))

    def _is_logged(self, number: int, name: str, epoch: int) -> bool:
        if number in self._live:
            return (name, epoch) in self._live[number]
        return number in self._found and safe_key(name) in self._found[number].data.metrics

    def _architecture_of(self, trial: FrozenTrial) -> Architecture | None:
        if self._space is None:
            return None
        try:
            return self._space.architecture(trial.params)
        except ValueError:  # The objective is not a search in this space, or the trial broke off.
            return None

    def log_architecture(self, run_id: str, trial: FrozenTrial) -> None:
        """Write the architecture of a trial, if it has one, and its drawing to a run."""
        architecture = self._architecture_of(trial)
        if architecture is not None:
            self._log_architecture(run_id, architecture)

    def _log_architecture(self, run_id: str, architecture: Architecture) -> None:
        files = architecture_files(architecture, self._space, self._report)
        self._connection.log_files(run_id, files)


def _is_old(trial: FrozenTrial) -> bool:
    ended = trial.datetime_complete
    return ended is None or datetime.now() - ended > _GRACE
