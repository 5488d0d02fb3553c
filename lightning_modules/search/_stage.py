"""Making and running the supernet stage, with the settings of a search."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Any
import warnings

import torch

from lightning_modules.costs.latency_table import LatencyTable
from lightning_modules.registries import RELAXATIONS
from lightning_modules.search._learning import Learning
from lightning_modules.search.settings import NONE
from lightning_modules.search.settings import SupernetSettings
from lightning_modules.supernet import PRIOR_FILE
from lightning_modules.supernet import StageSettings
from lightning_modules.supernet import SUPERNET_FILE
from lightning_modules.supernet import SupernetResult
from lightning_modules.supernet import SupernetStage
from lightning_modules.supernet.relaxations import LatencyFactor
from optuna_nas._file_lock import locked
from optuna_nas.spaces import Architecture
from optuna_nas.studies.run import Reporter


_ARGUMENTS = {
    "relaxation": "supernet",
    "epochs": "supernet_epochs",
    "paths": "supernet_paths",
    "training": "learning_rate",
    "relaxation_arguments": "latency_table",
    "proxy": "supernet_proxy",
}
"""What a setting of a stage is called in a search."""


def make_stage(
    name: str,
    settings: SupernetSettings,
    learning: Learning,
    arguments: Mapping[str, Any],
    *,
    table: LatencyTable | None = None,
    training: Mapping[str, Any] | None = None,
    folder: Path | None = None,
    progress: bool = False,
) -> SupernetStage:
    """Return the stage, and check all that would stop it; nothing is written.

    Args:
        name: Name of the relaxation.
        settings: Of the stage.
        learning: Data, space and task, set up.
        arguments: Of the trainings; see
            :func:`~lightning_modules.search.training.training_arguments`.
        table: Latencies that count in the loss, for relaxations that take costs.
        training: Arguments of the supernet's module; by default those of the relaxation.
        folder: Where its state and result are kept.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If there is no such supernet for the space, or a setting is wrong.
    """
    kind = RELAXATIONS.get(name, argument="supernet")
    if learning.kit.supernet is None or learning.task is None:
        missing = f"the space {learning.space_name}" if learning.task else "a module of your own"
        raise ValueError(
            f"Expected argument `supernet` with a space that has a supernet, and a task, but got "
            f"{missing}, which has none."
        )
    costs = {} if table is None or not kind.takes_costs else {"costs": (LatencyFactor(table),)}
    try:
        stage = SupernetStage(
            space=learning.space,
            datamodule=learning.datamodule,
            task=learning.task,
            kit=learning.kit,
            settings=StageSettings(
                name,
                settings.supernet_epochs,
                settings.supernet_paths,
                None if settings.supernet_proxy == NONE else settings.supernet_proxy,
            ),
            relaxation_arguments=costs,
            network=learning.sizes,
            training=training,
            origin={"data": learning.data_name, **learning.data_settings},
            folder=folder,
            progress=progress,
            **{key: value for key, value in arguments.items() if key != "learning_rate"},
        )
    except ValueError as error:
        raise _in_search(error) from error
    _check(stage, name, learning.space_name)
    return stage


def _check(stage: SupernetStage, name: str, space: str) -> None:
    """Raise a ValueError for what would stop the stage."""
    try:
        with torch.random.fork_rng(devices=[]):
            built = stage.build()
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"Expected argument `supernet` {name} to suit the space {space} but it does not: "
            f"{reason}"
        ) from error
    stage.make_module(*built)
    stage.split_data()  # Another batch size may be needed.
    try:
        stage.check_folder()
    except ValueError as error:
        raise _in_search(error) from error


def _in_search(error: Exception) -> ValueError:
    """Return an error of a stage in the words of a search's settings."""
    return ValueError(
        re.sub(
            r"(argument|with its) `(\w+)`",
            lambda match: (
                f"argument `{_ARGUMENTS.get(match[2], match[2])}`"
                if match[1] == "argument"
                else f"with its argument `{_ARGUMENTS.get(match[2], match[2])}`"
            ),
            str(error),
        )
    )


def run_stage(stage: SupernetStage, reporter: Reporter) -> SupernetResult:
    """Run a stage in its folder, and tell what is poor about its result.

    Raises:
        ValueError: If the folder holds another stage.
        RuntimeError: If the training fails.
    """
    folder = Path(str(stage.folder))
    epochs = f"{stage.settings.n_epochs} epoch{'s' if stage.settings.n_epochs > 1 else ''}"
    if stage.begun and (folder / SUPERNET_FILE).is_file():
        reporter.say(f"Reading the supernet in {folder} ...")
    else:
        start = "Going on with" if stage.begun else "Training"
        reporter.say(
            f"{start} a supernet by {stage.settings.relaxation} for {epochs} in {folder} ..."
        )
    with warnings.catch_warnings():  # It is told below, also where nothing is trained.
        warnings.filterwarnings("ignore", message="The supernet stage looks collapsed")
        result = stage.run()
    if result.problem is not None:
        way = (
            "another argument `supernet` or a smaller argument `supernet_epochs`"
            if result.collapsed is not None
            else "a larger argument `supernet_epochs` or a smaller argument `batch_size`"
        )
        warnings.warn(f"{result.problem}; {way} may help.", stacklevel=2)
    return result


def describe_stage(stage: SupernetStage, learning: Learning) -> dict[str, Any]:
    """Return the settings of a stage for MLflow and the study."""
    settings = stage.settings
    scored = {"supernet_paths": settings.paths, "supernet_proxy": settings.proxy or NONE}
    return {
        "supernet": stage.settings.relaxation,
        "supernet_epochs": stage.settings.n_epochs,
        **(scored if stage.settings.scores_paths else {}),
        **{k: v for k, v in learning.description.items() if k != "arguments"},
        "network": dict(learning.sizes),
        "precision": stage.precision,
        "seed": stage.seed,
        **(stage.training or {}),
    }


def say_found(stage: SupernetStage, architecture: Architecture, reporter: Reporter) -> None:
    """Tell what a stage found, and where the prior is."""
    reporter.say(f"supernet found: {stage.space.to_string(architecture)}")
    prior = Path(str(stage.folder), PRIOR_FILE)
    if prior.is_file():
        reporter.say(f"prior: {prior}")


@contextmanager
def alone(folder: Path, reporter: Reporter) -> Iterator[None]:
    """Let one process at a time train a supernet in a folder.

    Raises:
        OSError: If nothing can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = f"Another process trains a supernet in {folder}; waiting for it ..."
    with locked(folder / ".lock", waits=lambda: reporter.say(waiting)):
        yield


@dataclass(frozen=True)
class EpochTeller:
    """Hands the values of an epoch on, and tells them in a line.

    Args:
        epochs: Epochs of the stage.
        reporter: Told of the line; None if a progress bar shows it.
        then: Told of each epoch first.
    """

    epochs: int
    reporter: Reporter | None
    then: Callable[[int, Mapping[str, float]], None]

    def __call__(self, epoch: int, values: Mapping[str, float]) -> None:
        """Report an epoch, counted from 0, of the first of several processes."""
        if torch.distributed.is_initialized() and torch.distributed.get_rank() > 0:
            return
        self.then(epoch, values)
        if self.reporter is not None:
            shown = [f"loss {values['supernet_loss']:.4f}"]
            prefix = "supernet_val_"
            shown += [
                f"validation {name.removeprefix(prefix)} {value:.4g}"
                for name, value in values.items()
                if name.startswith(prefix)
            ]
            line = f"supernet epoch {epoch + 1}/{self.epochs}: {', '.join(shown)}"
            self.reporter.say(line)
