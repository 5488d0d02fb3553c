"""The supernet stage: training, what the paths are worth, and what is left for the study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from optuna.distributions import distribution_to_json
import pytorch_lightning as pl
import torch

from lightning_modules.proxies._registry import check_names
from lightning_modules.supernet._build import build_relaxed
from lightning_modules.supernet._collapse import is_collapsed
from lightning_modules.supernet._data import SupernetDataModule
from lightning_modules.supernet._file import save_supernet
from lightning_modules.supernet._guards import CollapseGuard
from lightning_modules.supernet._module import SupernetModule
from lightning_modules.supernet._path_evaluator import PathEvaluator
from lightning_modules.supernet._paths import check_proxy_weight
from lightning_modules.supernet._paths import PathScores
from lightning_modules.supernet._settings import check_settings
from lightning_modules.supernet._settings import keep_settings
from lightning_modules.supernet._stage_follower import EpochReport
from lightning_modules.supernet._stage_follower import StageFollower
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.registries import RELAXATIONS
from lightning_modules.supernet.relaxations import Relaxation
from lightning_modules.training import trainer as _training
from optuna_nas import Architecture
from optuna_nas.prior import Prior
from optuna_nas.spaces import SearchSpace


DEFAULT_RELAXATION = "fairnas"
"""The relaxation of a stage for which none is named."""
SUPERNET_FILE = "supernet.pt"
"""Name of the trained supernet in the folder of a stage."""
PRIOR_FILE = "prior.json"
"""Name of the prior in the folder of a stage."""

_RESUME = "last.ckpt"
_SCORES = "paths.jsonl"


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
    those of :func:`~optuna_nas.prior.prior_from_scores`: :attr:`n_paths` paths, drawn so that
    all choices appear equally, are ranked by their validation loss with the supernet's weights.
    By default a zero-cost proxy is counted as well, and the last paths are drawn near the best:
    see :class:`PathScores`.

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
        proxy: Zero-cost proxy of the paths' untrained networks, of
            :data:`~lightning_modules.proxies.PROXIES`, which is counted beside their loss; None
            counts the loss alone. Of no use where the relaxation learns probabilities.
        proxy_weight: Part of the proxy in the mean rank, in (0, 1].
        folder: Where to keep the state and the result; by default nothing is written.
        origin: Where the data comes from, by names of your own, in plain JSON types; a stage is
            not continued with another.
        seed: Seed of weights, data order and random choices, at least 0.
        accelerator: Of the trainer.
        devices: Of the trainer.
        strategy: Of the trainer.
        precision: Of the trainer.
        logger: Of the trainer; what is logged each epoch are curves in any Lightning logger.
        report: Told of the values of each epoch, but not by processes of ``"ddp_spawn"``.
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
    proxy: str | None = "synflow"
    proxy_weight: float = 0.75
    folder: str | Path | None = None
    origin: Mapping[str, Any] | None = None
    seed: int = 0
    accelerator: str = "auto"
    devices: int | str | list[int] = 1
    strategy: Any = "auto"
    precision: Any = "32-true"
    logger: Any = False
    report: EpochReport | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        self._kind = RELAXATIONS.get(self.relaxation)
        for name, value, least in [
            ("max_epochs", self.epochs, 1),
            ("n_paths", self.n_paths, 2),
            ("seed", self.seed, 0),
        ]:
            if value < least:
                raise ValueError(
                    f"Expected argument `{name}` to be at least {least} but got {value}."
                )
        if self.proxy is not None:
            check_names("proxy", [self.proxy])
        check_proxy_weight(self.proxy_weight)
        self._device = _training.select_device(self.accelerator, self.devices)

    @property
    def epochs(self) -> int:
        """Epochs of the training."""
        own = self._kind.epochs
        return own if self.max_epochs is None else self.max_epochs

    @property
    def scores_paths(self) -> bool:
        """Whether paths are scored, as the relaxation does not learn probabilities itself."""
        return not self._kind.learns

    @property
    def begun(self) -> bool:
        """Whether an earlier run in the folder finished an epoch."""
        return self.folder is not None and Path(self.folder, _RESUME).is_file()

    def run(self) -> SupernetResult:
        """Train, score and save; what an earlier run in the folder finished is not repeated.

        Raises:
            ValueError: If the folder holds a stage with other settings.
            RuntimeError: If the training diverged.
        """
        with _training.evaluation(self._device):
            data = self.split_data()
            folder = None if self.folder is None else Path(self.folder)
            if folder is not None:
                keep_settings(folder, self._settings())
            module = _training.RANDOM_STATE.seeded(
                lambda: self.make_module(*self.build()), self.seed, self._device
            )
            with _training.quiet():
                self._fit(module, data, folder)
            return self._result(module, data, folder)

    def split_data(self) -> SupernetDataModule:
        """Set the data up and split it as the training will.

        Raises:
            ValueError: If there is less than a batch of images in a part.
        """
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")
        fraction = 0.5 if self._kind.learns else 0.0
        data, tried = (
            SupernetDataModule(self.datamodule, architecture_fraction=fraction, seed=self.seed)
            for _ in range(2)
        )
        with _training.quiet():
            tried.train_dataloader()
        return data

    def build(self) -> tuple[Supernet, Relaxation]:
        """Build the supernet, whose weights come from the global generator, and the relaxation.

        Raises:
            ValueError: If the relaxation does not suit the space, or an argument is wrong.
        """
        input_shape, num_classes = _training.data_description(self.datamodule)
        return build_relaxed(
            self.space,
            self.relaxation,
            relaxation_arguments=self.relaxation_arguments,
            seed=self.seed,
            input_shape=input_shape,
            num_classes=num_classes,
            **(self.network or {}),
        )

    def make_module(self, supernet: Supernet, relaxation: Relaxation) -> SupernetModule:
        """Make the module that trains what :meth:`build` returned.

        Raises:
            ValueError: If an argument of it is out of its range.
        """
        arguments = {**self._kind.module_arguments, **(self.training or {})}
        return SupernetModule(supernet, relaxation, **arguments)

    def _fit(self, module: SupernetModule, data: SupernetDataModule, folder: Path | None) -> None:
        resume = None if folder is None else folder / _RESUME
        trainer = _training.make_trainer(
            max_epochs=self.epochs,
            accelerator=self.accelerator,
            devices=self.devices,
            strategy=self._strategy(),
            precision=self.precision,
            logger=self.logger,
            callbacks=[CollapseGuard(), StageFollower(self.report, resume)],
            enable_checkpointing=True,
            enable_progress_bar=self.progress,
            log_every_n_steps=1,  # There is nothing to log in a step, nor to warn about.
        )
        _training.run_trainer(
            trainer.fit,
            module,
            datamodule=data,
            ckpt_path=str(resume) if resume is not None and resume.is_file() else None,
            weights_only=False,  # Our own file, with the states of callbacks.
        )

    def _strategy(self) -> Any:
        """Return the strategy, that of several devices told that a step leaves choices out."""
        if self.strategy not in ("auto", "ddp", "ddp_spawn"):
            return self.strategy
        if self.strategy != "auto":
            return f"{self.strategy}_find_unused_parameters_true"
        if isinstance(self.devices, list):
            n_devices = len(self.devices)
        elif self.devices in ("auto", -1, "-1"):
            n_devices = 1 if self._device.type == "cpu" else torch.accelerator.device_count()
        else:
            n_devices = 1 if self.devices in (1, "1") else 2
        return "auto" if n_devices == 1 else "ddp_find_unused_parameters_true"

    def _result(
        self, module: SupernetModule, data: SupernetDataModule, folder: Path | None
    ) -> SupernetResult:
        supernet = module.supernet.to(self._device)
        scores = None
        if module.relaxation.learns:
            probabilities = module.relaxation.probabilities()
            architecture, prior = supernet.derive(probabilities), supernet.prior(probabilities)
        else:
            scores = PathScores(
                self.space,
                None if folder is None else folder / _SCORES,
                proxy=self.proxy,
                proxy_weight=self.proxy_weight,
            )
            evaluate = PathEvaluator(supernet, data.datamodule, proxy=self.proxy, seed=self.seed)
            scores.fill(evaluate, self.n_paths, seed=self.seed, progress=self.progress)
            prior = scores.prior()
            architecture = prior.most_likely()
        path = None
        if folder is not None:
            path = folder / SUPERNET_FILE
            save_supernet(supernet, path)
            Path(folder, PRIOR_FILE).write_text(prior.to_json() + "\n", encoding="utf-8")
        collapsed = is_collapsed(supernet, architecture)
        return SupernetResult(architecture, prior, supernet, path, scores, collapsed)

    def check_folder(self) -> None:
        """Check that the folder, if there is one, holds no stage with other settings.

        The data is set up for it.

        Raises:
            ValueError: If it does.
        """
        if self.folder is not None:
            self.datamodule.prepare_data()
            self.datamodule.setup("fit")
            check_settings(Path(self.folder), self._settings())

    def _settings(self) -> dict[str, Any]:
        """Return what a stage is to be continued with."""
        input_shape, num_classes = _training.data_description(self.datamodule)
        return {
            **(self.origin or {}),
            "space": self.space.name,
            "relaxation": self.relaxation,
            "relaxation_arguments": dict(self.relaxation_arguments or {}),
            "epochs": self.epochs,
            "network": dict(self.network or {}),
            "training": dict(self.training or {}),
            "proxy": self.proxy if self.scores_paths else None,
            "seed": self.seed,
            "input_shape": list(input_shape),
            "num_classes": num_classes,
            "datamodule": type(self.datamodule).__name__,
            "batch_size": getattr(self.datamodule, "batch_size", None),
            **{
                f"distribution of {name}": json.loads(distribution_to_json(distribution))
                for name, distribution in self.space.distributions.items()
            },
        }
