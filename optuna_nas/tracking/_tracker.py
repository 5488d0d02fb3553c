"""The tracker: an Optuna callback and a trial observer that writes to MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
import importlib
from pathlib import Path
from typing import Any
from typing import TYPE_CHECKING

from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import Trial

from optuna_nas.prior import Prior
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace
from optuna_nas.tracking._guard import Guarded
from optuna_nas.tracking._guard import guarded
from optuna_nas.tracking._parent import Settings
from optuna_nas.tracking._supernet import Stage


if TYPE_CHECKING:
    from optuna_nas.tracking._session import StudySession


class MLflowTracker(Guarded):
    """Follows a study in MLflow: one parent run for the study, one child run for each trial.

    It is an Optuna callback for any objective, and an observer of
    :class:`~optuna_nas.ArchitectureObjective`, which makes a trial's run exist from the trial's
    start and its curves grow by the epoch::

        with MLflowTracker(space=space) as tracker:
            objective = ArchitectureObjective(space, evaluate, observers=[tracker])
            study.optimize(objective, n_trials=50, callbacks=[tracker])

    A child run holds the decisions as parameters, all measured values and curves as metrics, the
    architecture as a tag, as JSON and as a drawing, and the tags ``pareto``, ``feasible`` and, if
    the trial failed, ``fail_reason``. The parent run holds the best values so far, the settings of
    the search, a figure of the front (of the history, if there is one objective) and the table of
    all trials. The runs' ids are kept in the study, so that a resumed study, or a second process,
    continues the same runs; trials that ended while nobody tracked them are logged then.

    A failure of MLflow is a warning, the first time, and never a failed trial. For an ``http``
    URI the tracker sets MLflow's environment variables for retries and the timeout of requests to
    small values, unless they are set.

    Args:
        experiment: Name of the experiment; by default the study's name.
        tracking_uri: Where MLflow keeps the runs.
        objectives: Names of the objectives; by default the study's metric names, else ``value``
            or ``value_0``, ``value_1``, ...
        space: The search space, which is needed to draw architectures.
        params: Settings of the search, e.g. the sampler or the data; parameters of the parent run.
        tags: More tags of the parent run.
        artifact_location: Where a new experiment keeps its files; by default in ``mlartifacts``
            beside an sqlite file, and where a server says.

    Raises:
        ImportError: If MLflow is not installed.
        ValueError: If ``tracking_uri`` is empty.
    """

    def __init__(
        self,
        experiment: str | None = None,
        *,
        tracking_uri: str = "sqlite:///mlflow.db",
        objectives: Sequence[str] | None = None,
        space: SearchSpace | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        artifact_location: str | None = None,
    ) -> None:
        if not tracking_uri:
            raise ValueError(
                f"Expected argument `tracking_uri` to be a URI but got {tracking_uri!r}."
            )
        importlib.import_module("mlflow")
        self._settings = Settings(
            experiment=experiment,
            tracking_uri=tracking_uri,
            objectives=None if objectives is None else tuple(objectives),
            space=space,
            params=dict(params or {}),
            tags=dict(tags or {}),
            artifact_location=artifact_location,
        )
        self._set_up()

    def _set_up(self) -> None:
        super().__init__(self._settings.tracking_uri)
        self._since = datetime.now()
        self._sessions: dict[str, StudySession] = {}
        self._studies: dict[str, Study] = {}
        self._live: dict[str, dict[int, set[tuple[str, int]]]] = {}
        self._stages: dict[str, Stage] = {}

    def _disconnect(self) -> None:
        self._sessions.clear()

    def __getstate__(self) -> Settings:
        return self._settings

    def __setstate__(self, settings: Settings) -> None:
        self._settings = settings
        self._set_up()

    @guarded
    def start(self, study: Study) -> None:
        """Make or find the study's run and log what happened while nobody tracked.

        It is not needed: the first trial does the same.
        """
        self._session(study)

    @guarded
    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Log a finished trial; the callback of ``study.optimize``."""
        self._session(study).finish_trial(trial)

    @guarded
    def on_trial_start(self, trial: Trial, architecture: Architecture) -> None:
        """Make the run of a trial that starts; see :class:`optuna_nas.objective.TrialObserver`."""
        self._session(trial.study).start_trial(trial, architecture)

    @guarded
    def on_epoch_end(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch, counted from 0."""
        self._session(trial.study).log_epoch(trial.number, epoch, metrics)

    @guarded
    def log_final(
        self, study: Study, number: int, metrics: Mapping[str, float], path: Path | None = None
    ) -> None:
        """Log the finished model, which was made from one trial after the search.

        It gets a child run ``final`` with its architecture and files. The same model again
        changes nothing.

        Args:
            study: The study.
            number: The number of the trial whose architecture it has.
            metrics: What was measured of it, e.g. ``test_loss``; also on the runs of the study
                and of the trial.
            path: Its file or folder. Files beside it that end in ``.json`` instead, or have
                ``.sha256`` appended, are copied as well.
        """
        self._session(study).log_final(number, metrics, path)

    def start_supernet(self, study: Study, params: Mapping[str, Any] | None = None) -> None:
        """Make the run ``supernet`` of a supernet stage before the trials, or find it again.

        It is not needed: the first epoch does the same. What is missing of a stage that was
        broken off is logged when it goes on; a stage that was logged to the end stays as it is.

        Args:
            study: The study.
            params: Settings of the stage; parameters of its run.
        """
        stage = self._stage(study)
        stage.params, stage.running = dict(params or {}), True
        self._log_stage(study)

    def on_supernet_epoch(self, study: Study, epoch: int, values: Mapping[str, float]) -> None:
        """Log the values of an epoch of the supernet stage, counted from 0.

        With :func:`functools.partial` it is the ``report`` of a stage:
        ``SupernetStage(..., report=partial(tracker.on_supernet_epoch, study))``.
        """
        stage = self._stage(study)
        stage.epochs[epoch], stage.running = dict(values), True
        self._log_stage(study)

    @guarded
    def _log_stage(self, study: Study) -> None:
        self._session(study).log_stage()

    @guarded
    def log_supernet(
        self, study: Study, prior: Prior, architecture: Architecture, path: Path | None = None
    ) -> None:
        """Log what the supernet stage leaves, and end its run.

        The run ``supernet`` gets ``prior.json``, the heat map of the probabilities ``prior.png``,
        which the study's run has as ``supernet_prior.png``, and the architecture as JSON and as a
        drawing. The same prior and architecture again change nothing.

        Args:
            study: The study.
            prior: Probabilities of the choices.
            architecture: The architecture that was found.
            path: The file of the supernet, to be copied with its digest.
        """
        self._session(study).log_supernet(prior, architecture, path)

    @guarded
    def fail_supernet(self, study: Study) -> None:
        """End the run of a supernet stage that an error stopped as FAILED."""
        if self._stage(study).running:
            self._session(study).fail_stage()

    @guarded
    def interrupt(self, study: Study | None = None) -> None:
        """Mark the runs of trials and supernet that an interruption broke off as KILLED.

        Args:
            study: The study; by default all that the tracker has followed.
        """
        for followed in self._followed(study):
            self._session(followed).interrupt(self._since)

    @guarded
    def close(self, study: Study | None = None) -> None:
        """Log what is missing, draw the figures and end the study's run.

        Runs of trials that this tracker has started and that have not ended become KILLED. A
        tracker can go on after it was closed.

        Args:
            study: The study; by default all that the tracker has followed.
        """
        for followed in self._followed(study):
            self._session(followed).close()
            self._sessions.pop(followed.study_name, None)

    def __enter__(self) -> MLflowTracker:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.interrupt()
        self.close()

    def _followed(self, study: Study | None) -> list[Study]:
        return list(self._studies.values()) if study is None else [study]

    def _session(self, study: Study) -> StudySession:
        from optuna_nas.tracking._session import StudySession

        name = study.study_name
        self._studies[name] = study
        if name not in self._sessions:
            live = self._live.setdefault(name, {})
            self._sessions[name] = StudySession(
                study,
                self._settings,
                live=live,
                stage=self._stage(study),
                report=self._warn,
            )
        return self._sessions[name]

    def _stage(self, study: Study) -> Stage:
        return self._stages.setdefault(study.study_name, Stage())
