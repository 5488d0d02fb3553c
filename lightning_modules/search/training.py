"""One architecture from its string, trained as the finished network of a search is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_modules._checks import check_at_least
from lightning_modules.search._final import check_folder
from lightning_modules.search._final import FinalTraining
from lightning_modules.search._learning import Learning
from lightning_modules.search.settings import DataSettings
from lightning_modules.search.settings import TrainingSettings
from lightning_modules.spaces import as_kit
from lightning_modules.spaces import read_architecture
from lightning_modules.training import FinishedModel
from lightning_modules.training.device import strategy_for
from optuna_nas.studies.run import Reporter
from optuna_nas.studies.run import show_progress


def training_arguments(training: TrainingSettings, seed: int) -> dict[str, Any]:
    """Return the arguments that the trials and the final training have in common."""
    return {
        "learning_rate": training.learning_rate,
        "accelerator": training.accelerator,
        "devices": training.devices,
        "strategy": strategy_for(training.devices),
        "precision": training.precision,
        "seed": seed,
    }


def train_architecture(
    architecture: str,
    settings: DataSettings,
    *,
    space: Any = None,
    epochs: int = 10,
    output: str | Path = "runs/train",
    training: TrainingSettings | None = None,
    data_settings: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
) -> tuple[FinishedModel, Path]:
    """Train one architecture on all but the test data, test it once and save it.

    What was done before in the same folder is not repeated.

    Args:
        architecture: Its string encoding.
        settings: The data and the task.
        space: Its search space; by default the first one with a name that can read it.
        epochs: Number of epochs.
        output: Folder for the network.
        training: How it is trained.
        data_settings: Further arguments of the data module.
        reporter: Told of what happens.

    Returns:
        The model and its checkpoint.

    Raises:
        ValueError: If an argument is wrong.
        RuntimeError: If the training fails.
    """
    check_at_least("epochs", epochs, 1)
    check_folder(Path(output), "output")
    if space is None:
        space, _, member = read_architecture(architecture)
    else:
        member = as_kit(space).make_space().from_string(architecture)
    learning = Learning(settings, space, data_settings or {})
    reporter = reporter or Reporter()
    build = learning.set_up()
    notice = getattr(learning.datamodule, "notice", None)
    if notice:
        reporter.say(notice)
    final = FinalTraining(
        build,
        learning.datamodule,
        learning.space,
        learning.task,
        learning.module,
        (),
        {
            "max_epochs": epochs,
            **training_arguments(training or TrainingSettings(), settings.seed),
        },
        learning.description,
    )
    return final.run(member, Path(output), reporter, progress=show_progress())
