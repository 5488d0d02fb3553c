"""Training the finished architecture on all data but the test split, and testing it once."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import copy
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
import torch

from lightning_modules._checks import check_at_least
from lightning_modules.backbone import Build
from lightning_modules.data import preprocessing_of
from lightning_modules.tasks import make_task
from lightning_modules.tasks import Task
from lightning_modules.training._follower import DivergenceGuard
from lightning_modules.training.checkpoint import describe_build
from lightning_modules.training.checkpoint import save_checkpoint
from lightning_modules.training.device import empty_accelerator
from lightning_modules.training.device import select_device
from lightning_modules.training.finished import FinishedModel
from lightning_modules.training.learner import check_one_of
from lightning_modules.training.learner import Learner
from lightning_modules.training.learner import MakeModule
from lightning_modules.training.module import TaskModule
from lightning_modules.training.random_state import RANDOM_STATE
from lightning_modules.training.trainer import make_trainer
from lightning_modules.training.trainer import quiet
from lightning_modules.training.trainer import run_trainer
from optuna_nas import Architecture


def train_final(
    build: Build,
    architecture: Architecture,
    datamodule: pl.LightningDataModule,
    path: str | Path,
    *,
    task: str | type[Task] | Task | None = None,
    module: MakeModule | None = None,
    metrics: Sequence[str] = (),
    max_epochs: int = 10,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    optimizer: str | None = None,
    schedule: str | None = None,
    accelerator: str = "auto",
    devices: int | str | list[int] = 1,
    strategy: Any = "auto",
    precision: Any = "32-true",
    seed: int = 0,
    progress: bool = False,
    callbacks: Sequence[pl.Callback] = (),
    network_info: Mapping[str, Any] | None = None,
) -> FinishedModel:
    """Train a finished architecture, test it once, and write it to a checkpoint.

    A data module with the attribute ``train_on_validation`` gives training and validation split
    together; nothing is validated then. The global random state is left as found.

    Args:
        build: Makes the backbone or network of an architecture, see
            :class:`~lightning_modules.TrainingEvaluator`.
        architecture: The architecture to train.
        datamodule: The data, as for :class:`~lightning_modules.TrainingEvaluator`, and perhaps
            with the attribute ``preprocessing``. A copy of it is used.
        path: The checkpoint to write; see :func:`~lightning_modules.load_checkpoint`.
        task: What it is trained for; see :func:`~lightning_modules.tasks.make_task`.
        module: In the place of a task, a module of the user's own.
        metrics: What is to be measured on the test split besides what the task always measures;
            ``val_f1`` and ``test_f1`` stand for the same.
        max_epochs: Number of epochs.
        learning_rate: See :class:`~lightning_modules.TaskModule`, as for the next three.
        weight_decay: Weight decay.
        optimizer: ``"adamw"`` or ``"sgd"``.
        schedule: ``"one_cycle"``, ``"cosine"`` or ``"constant"``.
        accelerator: As ``devices``, ``strategy`` and ``precision``, an argument of
            :class:`pytorch_lightning.Trainer`.
        devices: Number or list of devices.
        strategy: How several devices share the work.
        precision: Floating point precision of the training.
        seed: Seed of the initial weights; the data module has its own.
        progress: Whether to show Lightning's progress bar.
        callbacks: More callbacks for the training.
        network_info: How to rebuild the network, in plain JSON types. Needed only if ``build`` is
            not a partial of the backbone of a kit.

    Returns:
        The model, on the CPU, with what was measured on the test split; nothing, if the module
        tests nothing or there is no test split.

    Raises:
        ValueError: If an argument is out of its range, or there are a task and a module.
        RuntimeError: If the training diverged, that is, the loss is not finite.
    """
    check_at_least("max_epochs", max_epochs, 1)
    check_one_of(task, module)
    datamodule = copy.copy(datamodule)
    on_everything = hasattr(datamodule, "train_on_validation")
    if on_everything:
        datamodule.train_on_validation = True  # type: ignore[attr-defined]
    datamodule.prepare_data()
    datamodule.setup("fit")
    learner = Learner(
        build,
        module,
        None if module is not None else make_task(task, datamodule),
        metrics=metrics,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        optimizer=optimizer,
        schedule=schedule,
    )
    # Before the training, so that no mistake here can cost its result.
    preprocessing = preprocessing_of(datamodule)
    network_info = describe_build(build) if network_info is None else network_info
    device = select_device(accelerator, devices)
    try:
        with RANDOM_STATE.kept(device), quiet():
            trained = learner.lightning(
                RANDOM_STATE.build(learner, architecture, seed, device), architecture
            )
            trainer = make_trainer(
                max_epochs=max_epochs,
                accelerator=accelerator,
                devices=devices,
                strategy=strategy,
                precision=precision,
                limit_val_batches=0 if on_everything else None,
                enable_progress_bar=progress,
                callbacks=[DivergenceGuard(), *callbacks],
            )
            run_trainer(trainer.fit, trained, datamodule=datamodule)
            is_ours = module is None and isinstance(trained, TaskModule)
            network = trained.get_submodule("network") if is_ours else trained
            model = FinishedModel(
                network.eval(),
                architecture,
                learner.task,
                preprocessing,
                _test(trainer, trained, datamodule, device),
                network_info,
            )
            save_checkpoint(trainer, model, Path(path))
    finally:
        empty_accelerator(device)
    return model


def _test(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    datamodule: pl.LightningDataModule,
    device: torch.device,
) -> dict[str, float]:
    """Return what is measured on the test split, each sample counted once."""
    if not is_overridden("test_step", module) or not is_overridden("test_dataloader", datamodule):
        return {}
    if trainer.world_size > 1 and not torch.distributed.is_torchelastic_launched():
        # Several processes would repeat samples to have equal shares.
        trainer = make_trainer(
            accelerator="auto" if device.type != "cpu" else "cpu",
            devices=1 if device.index is None else [device.index],
        )
    results = run_trainer(trainer.test, module, datamodule=datamodule, verbose=False)
    return {name: float(value) for result in results for name, value in result.items()}
