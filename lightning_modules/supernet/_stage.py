"""The supernet stage: training, what the paths are worth, and what is left for the study."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import copy
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from lightning_modules import _training
from lightning_modules.supernet._build import build_supernet
from lightning_modules.supernet._collapse import is_collapsed
from lightning_modules.supernet._data import SupernetDataModule
from lightning_modules.supernet._evaluate import SupernetEvaluator
from lightning_modules.supernet._file import save_supernet
from lightning_modules.supernet._guards import CollapseGuard
from lightning_modules.supernet._module import SupernetModule
from lightning_modules.supernet._paths import PathScores
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations import Relaxation
from lightning_modules.supernet.relaxations import RELAXATIONS
from optuna_nas import Architecture
from optuna_nas.search_space import SearchSpace
from optuna_nas.supernet import Prior


DEFAULT_RELAXATION = "fairnas"
"""The relaxation of a stage for which none is named."""
SUPERNET_FILE = "supernet.pt"
"""Name of the trained supernet in the folder of a stage."""
PRIOR_FILE = "prior.json"
"""Name of the prior in the folder of a stage."""

_RESUME = "last.ckpt"
_SETTINGS = "settings.json"
_SCORES = "paths.jsonl"

EpochReport = Callable[[int, Mapping[str, float]], None]
"""Called with an epoch, counted from 0, and the values measured in it."""


@dataclass(frozen=True, eq=False)
class SupernetResult:
    """What a supernet stage leaves.

    Args:
        architecture: The architecture that was found, of the prior's most likely choices or by
            the published rule of the relaxation.
        prior: Probabilities of the choices.
        supernet: The trained supernet.
        path: Its file, if the stage had a folder.
        scores: The paths that were scored; none if the relaxation learns probabilities.
        collapsed: What looks collapsed about the architecture, in words.
    """

    architecture: Architecture
    prior: Prior
    supernet: Supernet
    path: Path | None
    scores: PathScores | None
    collapsed: str | None


@dataclass(kw_only=True)
class SupernetStage:
    """Trains a supernet on a data module and turns it into a prior.

    A relaxation that learns logits leaves their probabilities. One that trains paths alone leaves
    those of :func:`~optuna_nas.supernet.prior_from_scores`: :attr:`n_paths` paths, drawn so that
    all choices appear equally, are ranked by their validation loss with the supernet's weights.

    With a folder, the stage can be killed and run again: the training goes on at the last finished
    epoch and no path is scored twice.

    Args:
        space: The search space.
        datamodule: Data with the attributes ``input_shape`` and ``num_classes``. The test split is
            never read.
        relaxation: Name of the relaxation, of
            :data:`~lightning_modules.supernet.relaxations.RELAXATIONS`.
        relaxation_arguments: More arguments of it, such as ``costs``.
        max_epochs: Epochs, at least 1; by default those of the relaxation.
        network: Arguments of the space's supernet besides the data's shape.
        training: Arguments of :class:`SupernetModule`; by default those of the relaxation.
        n_paths: Paths to score, at least 2.
        folder: Where to keep the state and the result; by default nothing is written.
        seed: Seed of weights, data order and random choices, at least 0.
        accelerator: Of the trainer.
        devices: Of the trainer.
        strategy: Of the trainer.
        precision: Of the trainer.
        logger: Of the trainer; what is logged each epoch are curves in any Lightning logger.
        report: Told of the values of each epoch.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is out of its range.
    """

    space: SearchSpace
    datamodule: pl.LightningDataModule
    relaxation: str = DEFAULT_RELAXATION
    relaxation_arguments: Mapping[str, Any] | None = None
    max_epochs: int | None = None
    network: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
    n_paths: int = 250
    folder: str | Path | None = None
    seed: int = 0
    accelerator: str = "auto"
    devices: int | str | list[int] = 1
    strategy: Any = "auto"
    precision: Any = "32-true"
    logger: Any = False
    report: EpochReport | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        if self.relaxation not in RELAXATIONS:
            raise ValueError(
                f"Expected argument `relaxation` to be one of {list(RELAXATIONS)} "
                f"but got {self.relaxation!r}."
            )
        for name, value, least in [
            ("max_epochs", self.epochs, 1),
            ("n_paths", self.n_paths, 2),
            ("seed", self.seed, 0),
        ]:
            if value < least:
                raise ValueError(
                    f"Expected argument `{name}` to be at least {least} but got {value}."
                )
        self._device = _training.select_device(self.accelerator, self.devices)

    @property
    def epochs(self) -> int:
        """Epochs of the training."""
        own = RELAXATIONS[self.relaxation].epochs
        return own if self.max_epochs is None else self.max_epochs

    def run(self) -> SupernetResult:
        """Train, score and save; what an earlier run in the folder finished is not repeated.

        Raises:
            ValueError: If the folder holds a stage with other settings.
            RuntimeError: If the training diverged.
        """
        with _training.evaluation(self._device):
            folder = self._open_folder()
            self.datamodule.prepare_data()
            self.datamodule.setup("fit")
            module = _training.RANDOM_STATE.seeded(self._make_module, self.seed, self._device)
            with _training.quiet():
                self._fit(module, folder)
            return self._result(module, folder)

    def _make_module(self) -> SupernetModule:
        input_shape, num_classes = _training.data_description(self.datamodule)
        kind = RELAXATIONS[self.relaxation]
        arguments = {**kind.supernet_arguments, **(self.network or {})}
        supernet = build_supernet(
            self.space, input_shape=input_shape, num_classes=num_classes, **arguments
        )
        relaxation: Relaxation = kind(
            supernet, seed=self.seed, **(self.relaxation_arguments or {})
        )
        return SupernetModule(
            supernet, relaxation, **{**kind.module_arguments, **(self.training or {})}
        )

    def _fit(self, module: SupernetModule, folder: Path | None) -> None:
        data = SupernetDataModule(
            self.datamodule,
            architecture_fraction=0.5 if module.relaxation.learns else 0.0,
            seed=self.seed,
        )
        callbacks: list[pl.Callback] = [_Follower(self.report), CollapseGuard()]
        if folder is not None:
            callbacks.append(
                ModelCheckpoint(folder, filename="last", enable_version_counter=False)
            )
        trainer = _training.make_trainer(
            max_epochs=self.epochs,
            accelerator=self.accelerator,
            devices=self.devices,
            strategy=self.strategy,
            precision=self.precision,
            logger=self.logger,
            callbacks=callbacks,
            enable_checkpointing=folder is not None,
            enable_progress_bar=self.progress,
        )
        resume = folder / _RESUME if folder is not None else None
        _training.run_trainer(
            trainer.fit,
            module,
            datamodule=data,
            ckpt_path=str(resume) if resume is not None and resume.is_file() else None,
            weights_only=False,  # Our own file, with the states of callbacks.
        )

    def _result(self, module: SupernetModule, folder: Path | None) -> SupernetResult:
        supernet = module.supernet.to(self._device)
        scores = None
        if module.relaxation.learns:
            probabilities = module.relaxation.probabilities()
            architecture, prior = supernet.derive(probabilities), supernet.prior(probabilities)
        else:
            evaluator = SupernetEvaluator.from_data(supernet, copy.copy(self.datamodule))
            scores = PathScores(self.space, None if folder is None else folder / _SCORES)
            scores.fill(evaluator, self.n_paths, seed=self.seed, progress=self.progress)
            prior = scores.prior()
            architecture = prior.most_likely()
        path = None
        if folder is not None:
            path = folder / SUPERNET_FILE
            save_supernet(supernet, path)
            Path(folder, PRIOR_FILE).write_text(prior.to_json() + "\n", encoding="utf-8")
        collapsed = is_collapsed(supernet, architecture)
        return SupernetResult(architecture, prior, supernet, path, scores, collapsed)

    def _open_folder(self) -> Path | None:
        """Make the folder, or check that it holds a stage with the same settings."""
        if self.folder is None:
            return None
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "space": self.space.name,
            "relaxation": self.relaxation,
            "epochs": self.epochs,
            "network": dict(self.network or {}),
            "training": dict(self.training or {}),
            "seed": self.seed,
        }
        file = folder / _SETTINGS
        if file.is_file():
            found = json.loads(file.read_text(encoding="utf-8"))
            wrong = [key for key, value in settings.items() if found.get(key) != value]
            if wrong:
                key = wrong[0]
                raise ValueError(
                    f"Expected the stage in {folder} to be continued with its `{key}` "
                    f"{found.get(key)!r} but got {settings[key]!r}; give another folder."
                )
        else:
            file.write_text(json.dumps(settings) + "\n", encoding="utf-8")
        return folder


class _Follower(pl.Callback):
    """Hands each epoch's values on, and ends a training whose loss is not finite."""

    def __init__(self, report: EpochReport | None) -> None:
        self._report = report

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check and report."""
        values = _training.scalar_metrics(trainer)
        loss = values.get("supernet_loss", 0.0)
        if not math.isfinite(loss):
            raise RuntimeError(
                f"The supernet's training diverged: the loss of epoch {trainer.current_epoch} is "
                f"{loss}; a smaller learning rate may help."
            )
        if self._report is not None:
            self._report(trainer.current_epoch, values)
