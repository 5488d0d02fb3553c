"""The tracker of a supernet stage that no study follows."""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import importlib
from pathlib import Path
from typing import Any

from optuna_nas.prior import Prior
from optuna_nas.spaces import Architecture
from optuna_nas.tracking._connection import connect
from optuna_nas.tracking._guard import Guarded
from optuna_nas.tracking._guard import guarded
from optuna_nas.tracking._supernet import Stage
from optuna_nas.tracking._supernet import StageRun


_FOLDER = "supernet.folder"
"""Tag of the run: the folder of the stage, for the eye."""
_KEY = "supernet.key"
"""Tag of the run: a digest of the folder's path, by which it is found again."""


class SupernetTracker(Guarded):
    """Follows a supernet stage in MLflow in a run of its own, without a study.

    The run has what the run ``supernet`` of :class:`MLflowTracker` has. A stage that goes on in
    the same folder, with the same parameters, goes on with its run::

        tracker = SupernetTracker(folder="runs/supernet", params={"relaxation": "gdas"})
        stage = SupernetStage(..., folder="runs/supernet", report=tracker.on_epoch)
        tracker.start()
        try:
            result = stage.run()
            tracker.log_supernet(result.prior, result.architecture, result.path)
        finally:
            tracker.close()

    A failure of MLflow is a warning, the first time.

    Args:
        experiment: Name of the experiment.
        tracking_uri: Where MLflow keeps the runs.
        name: Name of the run.
        folder: Folder of the stage.
        params: Settings of the stage; parameters of the run.

    Raises:
        ImportError: If MLflow is not installed.
        ValueError: If ``tracking_uri`` is empty.
    """

    def __init__(
        self,
        experiment: str = "supernet",
        *,
        tracking_uri: str = "sqlite:///mlflow.db",
        name: str = "supernet",
        folder: str | Path,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        if not tracking_uri:
            raise ValueError(
                f"Expected argument `tracking_uri` to be a URI but got {tracking_uri!r}."
            )
        importlib.import_module("mlflow")
        self._experiment = experiment
        self._name = name
        self._folder = Path(folder).resolve()
        self._set_up(tracking_uri, dict(params or {}))

    def _set_up(self, tracking_uri: str, params: Mapping[str, Any]) -> None:
        super().__init__(tracking_uri)
        self._stage = Stage(params)
        self._run: StageRun | None = None

    def __getstate__(self) -> dict[str, Any]:
        names = ("_experiment", "_name", "_folder", "_uri")
        return {name: getattr(self, name) for name in names} | {"params": self._stage.params}

    def __setstate__(self, state: dict[str, Any]) -> None:
        params = state.pop("params")
        self.__dict__.update(state)
        self._set_up(self._uri, params)

    def _disconnect(self) -> None:
        self._run = None

    @guarded
    def start(self) -> None:
        """Make the run or find it again; the first epoch does the same."""
        self._stage.running = True
        self._connected().log_epochs()

    def on_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log the values of an epoch, counted from 0."""
        self._stage.epochs[epoch] = dict(values)
        self.start()

    @guarded
    def log_supernet(
        self, prior: Prior, architecture: Architecture, path: Path | None = None
    ) -> None:
        """Log what the stage leaves, and end its run; see :meth:`MLflowTracker.log_supernet`."""
        self._connected().finish(prior, architecture, path)

    @guarded
    def fail(self) -> None:
        """End the run as FAILED if an error stopped the stage."""
        if self._stage.running:
            self._connected().end("FAILED")

    @guarded
    def close(self) -> None:
        """End the run as KILLED if the stage was broken off."""
        if self._stage.running:
            self._connected().end("KILLED")

    def _connected(self) -> StageRun:
        if self._run is None:
            folder = str(self._folder)
            key = hashlib.sha256(folder.encode()).hexdigest()
            self._run = StageRun(
                connect(self._uri, self._experiment, None),
                self._stage,
                {_KEY: key},
                more_tags={_FOLDER: folder},
                name=self._name,
                report=self._warn,
            )
        return self._run
