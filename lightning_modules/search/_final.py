"""The finished network of a search: trained on all but the test data, tested once, and saved."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from lightning_modules.backbone import Build
from lightning_modules.tasks import Task
from lightning_modules.training.checkpoint import CheckpointError
from lightning_modules.training.checkpoint import load_checkpoint
from lightning_modules.training.final import train_final
from lightning_modules.training.finished import FinishedModel
from lightning_modules.training.learner import MakeModule
from optuna_nas.metrics import METRICS
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace
from optuna_nas.studies.run import Reporter


CHECKPOINT = "best.ckpt"
"""Name of the finished network's file in the folder of its search."""


@dataclass(frozen=True)
class FinalTraining:
    """Trains an architecture for good, unless exactly this was done before.

    Args:
        build: Makes the backbone or network of an architecture.
        datamodule: The data.
        space: The search space.
        task: What it is trained for; None with a module.
        module: A module of the user's own.
        metrics: What is measured on the test split besides what the task always measures.
        arguments: Of :func:`~lightning_modules.train_final`: epochs, seed, devices, ...
        description: Where space and data come from, in plain JSON types.
    """

    build: Build
    datamodule: pl.LightningDataModule
    space: SearchSpace
    task: Task | None
    module: MakeModule | None
    metrics: Sequence[str]
    arguments: Mapping[str, Any]
    description: Mapping[str, Any]

    def run(
        self, architecture: Architecture, folder: Path, reporter: Reporter, *, progress: bool
    ) -> tuple[FinishedModel, Path]:
        """Train, test and save.

        Args:
            architecture: The architecture.
            folder: Where the checkpoint and the architecture as JSON are written.
            reporter: Told of the start and of the results.
            progress: Whether to show a progress bar.

        Returns:
            The model and its checkpoint.

        Raises:
            ValueError: If an argument of the training is wrong.
            RuntimeError: If the training fails.
        """
        path, text = folder / CHECKPOINT, self.space.to_string(architecture)
        settings = {k: v for k, v in self.arguments.items() if k not in ("accelerator", "devices")}
        info = {**self.description, "training": settings}
        model = self._finished_before(path, architecture, info)
        if model is None:
            epochs = self.arguments["max_epochs"]
            duration = f"{epochs} epoch{'s' if epochs > 1 else ''}"
            everything = hasattr(self.datamodule, "train_on_validation")
            data = "all but the test data" if everything else "the training data"
            reporter.say(f"Training {text} on {data} for {duration} ...")
            model = train_final(
                self.build,
                architecture,
                self.datamodule,
                path,
                task=self.task,
                module=self.module,
                metrics=self.metrics,
                progress=progress,
                network_info=info,
                **self.arguments,
            )
        path.with_suffix(".json").write_text(architecture.to_json() + "\n")
        reporter.say(f"architecture: {text}")
        for name, value in sorted(model.test_metrics.items(), key=_loss_last):
            metric = METRICS.get(name)
            reporter.say(f"{metric.heading}: {metric.text(value)}")
        reporter.say(f"network: {path}")
        return model, path

    def _finished_before(
        self, path: Path, architecture: Architecture, info: Mapping[str, Any]
    ) -> FinishedModel | None:
        task = None if self.task is None else type(self.task)
        try:
            model = load_checkpoint(path, build=self.build, module=self.module, task=task)
        except CheckpointError:
            return None
        same = model.architecture == architecture and dict(model.network_info) == info
        return model if same and model.task == self.task else None


def _loss_last(item: tuple[str, float]) -> bool:
    return item[0] == "test_loss"


def check_folder(folder: Path, argument: str) -> None:
    """Raise a ValueError if a folder cannot be made or written in; make nothing."""
    path = folder.absolute()
    existing = next(parent for parent in (path, *path.parents) if os.path.lexists(parent))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(
            f"Expected argument `{argument}` to be a folder to write in but got {str(folder)!r}, "
            f"and {existing} is no such folder."
        )
