"""Training the finished architecture on all data but the test split, and testing it once."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import copy
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from lightning_modules.tasks.classification import ImageClassifier
from lightning_modules.training import trainer as _training
from lightning_modules.training.checkpoint import describe_build
from lightning_modules.training.checkpoint import FinishedModel
from lightning_modules.training.checkpoint import save_checkpoint
from optuna_nas import Architecture


def train_final(
    build: Callable[[Architecture], nn.Module],
    architecture: Architecture,
    datamodule: pl.LightningDataModule,
    path: str | Path,
    *,
    max_epochs: int = 10,
    learning_rate: float | None = None,
    weight_decay: float = 5e-4,
    optimizer: str = "adamw",
    schedule: str = "one_cycle",
    label_smoothing: float = 0.0,
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

    Nothing is validated: training and validation split are both trained on. The global random
    state is left as found.

    Args:
        build: Makes the network of an architecture, e.g.
            ``functools.partial(build_cell_network, input_shape=(1, 28, 28), num_classes=10)``.
        architecture: The architecture to train.
        datamodule: The data, as for :class:`~lightning_modules.TrainingEvaluator`, and perhaps
            with the attributes ``class_names``, ``mean`` and ``std``. A copy of it is used, with
            ``train_on_validation`` turned on if it has that attribute.
        path: The checkpoint to write; see :func:`~lightning_modules.load_checkpoint`.
        max_epochs: Number of epochs.
        learning_rate: See :class:`~lightning_modules.ImageClassifier`, as for the next four.
        weight_decay: Weight decay.
        optimizer: ``"adamw"`` or ``"sgd"``.
        schedule: ``"one_cycle"``, ``"cosine"`` or ``"constant"``.
        label_smoothing: In [0, 1).
        accelerator: As ``devices``, ``strategy`` and ``precision``, an argument of
            :class:`pytorch_lightning.Trainer`.
        devices: Number or list of devices.
        strategy: How several devices share the work.
        precision: Floating point precision of the training.
        seed: Seed of the initial weights; the data module has its own.
        progress: Whether to show Lightning's progress bar.
        callbacks: More callbacks for the training.
        network_info: How to rebuild the network, in plain JSON types. Needed only if ``build`` is
            not a partial of one of :data:`~lightning_modules.BUILDERS`.

    Returns:
        The model, on the CPU, with its accuracy on the test split.

    Raises:
        ValueError: If an argument is out of its range.
        RuntimeError: If the training diverged, that is, the loss is not finite.
    """
    if max_epochs < 1:
        raise ValueError(f"Expected argument `max_epochs` to be at least 1 but got {max_epochs}.")
    datamodule = copy.copy(datamodule)
    if hasattr(datamodule, "train_on_validation"):
        datamodule.train_on_validation = True
    datamodule.prepare_data()
    datamodule.setup("fit")
    _, num_classes = _training.data_description(datamodule)
    device = _training.select_device(accelerator, devices)
    try:
        with _training.RANDOM_STATE.kept(device), _training.quiet():
            classifier = ImageClassifier(
                _training.RANDOM_STATE.build(build, architecture, seed, device),
                num_classes=num_classes,
                learning_rate=learning_rate,
                weight_decay=weight_decay,
                optimizer=optimizer,
                schedule=schedule,
                label_smoothing=label_smoothing,
            )
            trainer = _training.make_trainer(
                max_epochs=max_epochs,
                accelerator=accelerator,
                devices=devices,
                strategy=strategy,
                precision=precision,
                limit_val_batches=0,
                enable_progress_bar=progress,
                callbacks=[_training.DivergenceGuard(), *callbacks],
            )
            _training.run_trainer(trainer.fit, classifier, datamodule=datamodule)
            accuracy = _test(trainer, classifier, datamodule, device)
            info = describe_build(build) if network_info is None else network_info
            model = _finished(classifier, architecture, datamodule, accuracy, info)
            save_checkpoint(trainer, model, Path(path))
    finally:
        _training.empty_accelerator(device)
    return model


def _test(
    trainer: pl.Trainer,
    classifier: ImageClassifier,
    datamodule: pl.LightningDataModule,
    device: torch.device,
) -> float:
    """Return the accuracy on the test split, each image counted once."""
    if trainer.world_size > 1 and not torch.distributed.is_torchelastic_launched():
        # Several processes would repeat images to have equal shares.
        trainer = _training.make_trainer(
            accelerator="auto" if device.type != "cpu" else "cpu",
            devices=1 if device.index is None else [device.index],
        )
    results = _training.run_trainer(trainer.test, classifier, datamodule=datamodule, verbose=False)
    return float(results[0]["test_accuracy"])


def _finished(
    classifier: ImageClassifier,
    architecture: Architecture,
    datamodule: pl.LightningDataModule,
    test_accuracy: float,
    network_info: Mapping[str, Any],
) -> FinishedModel:
    input_shape, num_classes = _training.data_description(datamodule)
    names = getattr(datamodule, "class_names", range(num_classes))
    return FinishedModel(
        network=classifier.network.eval(),
        architecture=architecture,
        input_shape=input_shape,
        class_names=[str(name) for name in names],
        mean=[float(value) for value in getattr(datamodule, "mean", [0.0] * input_shape[0])],
        std=[float(value) for value in getattr(datamodule, "std", [1.0] * input_shape[0])],
        test_accuracy=test_accuracy,
        network_info=network_info,
        resize=getattr(datamodule, "resize", "pad"),
    )
