"""The run of a supernet stage, which comes before the trials of a study or stands alone."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import hashlib
from pathlib import Path
from types import MappingProxyType
from typing import Any
from typing import Literal

from optuna_nas.objective import ARCHITECTURE
from optuna_nas.prior import Prior
from optuna_nas.spaces import Architecture
from optuna_nas.tracking._connection import Connection
from optuna_nas.tracking._connection import OwnProblem
from optuna_nas.tracking._drawing import to_png
from optuna_nas.tracking._files import architecture_files
from optuna_nas.tracking._heat_map import plot_prior
from optuna_nas.tracking._records import millis
from optuna_nas.tracking._records import params_of
from optuna_nas.tracking._records import Point
from optuna_nas.tracking._records import safe_key


NAME = "supernet"
DIGEST = "sha256"
"""Tag of the run: the digest of the prior and the architecture that it holds."""
_HEAT_MAP = "prior.png"


@dataclass
class Stage:
    """What a tracker knows of a stage; it outlives a lost connection.

    Args:
        params: Settings of the stage.
        epochs: The values of each epoch, counted from 0.
        running: Whether it has been started and not ended.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    epochs: dict[int, dict[str, float]] = field(default_factory=dict)
    running: bool = False


class StageRun:
    """Finds or makes the run of a stage, fills it and ends it.

    Args:
        connection: The experiment.
        stage: The stage.
        tags: Tags that tell the run from others.
        name: Name of the run.
        more_tags: Further tags of a new run.
        report: Told of problems that do not come from the connection.
    """

    def __init__(
        self,
        connection: Connection,
        stage: Stage,
        tags: Mapping[str, str],
        *,
        name: str = NAME,
        more_tags: Mapping[str, str] = MappingProxyType({}),
        report: Callable[[Exception], None],
    ) -> None:
        self._connection = connection
        self._stage = stage
        self._report = report
        self._logged: set[tuple[str, int]] = set()
        self._digest: str | None = None
        params = params_of(stage.params)
        for run in connection.search({**tags, "mlflow.runName": name}):
            if all(run.data.params.get(key) == value for key, value in params.items()):
                self._id = str(run.info.run_id)
                self._adopt(run.info.status, run.data.tags.get(DIGEST), run.data.metrics)
                return
        self._id = connection.create_run(name, millis(None), {**tags, **more_tags})
        connection.log(self._id, params=params)

    def _adopt(self, status: str, digest: str | None, metrics: Mapping[str, float]) -> None:
        client = self._connection.client
        for key in metrics:
            self._logged |= {(key, m.step) for m in client.get_metric_history(self._id, key)}
        if status == "FINISHED":
            self._digest = digest
        elif status != "RUNNING":
            client.update_run(self._id, status="RUNNING")

    def log_epochs(self) -> None:
        """Log the values of the stage's epochs that the run does not have."""
        now = millis(None)
        points = [
            Point(safe_key(name), value, now, epoch)
            for epoch, values in sorted(self._stage.epochs.items())
            for name, value in values.items()
            if (safe_key(name), epoch) not in self._logged
        ]
        self._connection.log(self._id, points=points)
        self._logged |= {(point.key, point.step) for point in points}

    def finish(
        self, prior: Prior, architecture: Architecture, path: Path | None
    ) -> dict[str, bytes]:
        """Log what the stage leaves, unless the run has it, and end the run.

        Returns:
            The heat map by its name; nothing if it cannot be drawn, or is logged already.
        """
        self.log_epochs()
        self._stage.running = False
        text = f"{prior.to_json()}\n{architecture.to_json()}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        if self._digest == digest:
            return {}
        heat_map = {}
        with OwnProblem(self._report, anything=True):
            heat_map = {_HEAT_MAP: to_png(plot_prior(prior))}
        files = {"prior.json": prior.to_json().encode(), **heat_map}
        files |= architecture_files(architecture, prior.space, self._report)
        self._connection.log_files(self._id, files)
        for file in [path, Path(f"{path}.sha256")] if path is not None else []:
            if file is not None and file.is_file():
                self._connection.client.log_artifact(self._id, str(file))
        name = prior.space.to_string(architecture)
        self._connection.log(self._id, tags={ARCHITECTURE: name[:5000], DIGEST: digest})
        self._connection.client.set_terminated(self._id, "FINISHED")
        self._digest = digest
        return heat_map

    def end(self, status: Literal["KILLED", "FAILED"]) -> None:
        """End the run of a stage that this process does not go on with."""
        self._stage.running = False
        self._connection.client.set_terminated(self._id, status)
