"""The supernet stage: training, what the paths are worth, and what is left for the study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import json
from pathlib import Path
from typing import Any

from optuna.distributions import distribution_to_json
import pytorch_lightning as pl
import torch

from lightning_modules._checks import check_at_least
from lightning_modules._files import plain
from lightning_modules.proxies._compute import find_proxies
from lightning_modules.spaces import as_kit
from lightning_modules.spaces import Kit
from lightning_modules.supernet._build import build_relaxed
from lightning_modules.supernet._collapse import is_collapsed
from lightning_modules.supernet._datamodule import SupernetDataModule
from lightning_modules.supernet._file import save_supernet
from lightning_modules.supernet._guards import CollapseGuard
from lightning_modules.supernet._module import SupernetModule
from lightning_modules.supernet._path_evaluator import PathEvaluator
from lightning_modules.supernet._paths import PathScores
from lightning_modules.supernet._result import SupernetResult
from lightning_modules.supernet._stage_folder import check_settings
from lightning_modules.supernet._stage_folder import keep_settings
from lightning_modules.supernet._stage_folder import PRIOR_FILE
from lightning_modules.supernet._stage_folder import RESUME_FILE
from lightning_modules.supernet._stage_folder import SCORES_FILE
from lightning_modules.supernet._stage_folder import SUPERNET_FILE
from lightning_modules.supernet._stage_follower import EpochReport
from lightning_modules.supernet._stage_follower import StageFollower
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations import Relaxation
from lightning_modules.supernet.settings import StageSettings
from lightning_modules.tasks import make_task
from lightning_modules.tasks import Task
from lightning_modules.tasks import task_to_dict
from lightning_modules.training.device import select_device
from lightning_modules.training.random_state import evaluation
from lightning_modules.training.random_state import RANDOM_STATE
from lightning_modules.training.trainer import make_trainer
from lightning_modules.training.trainer import quiet
from lightning_modules.training.trainer import run_trainer
from optuna_nas.spaces import SearchSpace


@dataclass(kw_only=True)
class SupernetStage:
    """Trains a supernet on a data module and turns it into a prior.

    A relaxation that learns logits leaves their probabilities. One that trains paths alone leaves
    those of :func:`~optuna_nas.prior.prior_from_scores`: paths, drawn so that all choices
    appear equally, are ranked by their validation loss with the supernet's weights.
    By default a zero-cost proxy is counted as well, and the last paths are drawn near the best:
    see :class:`PathScores`.

    With a folder, the stage can be killed and run again: the training goes on at the last finished
    epoch and no path is scored twice.

    Args:
        space: The search space.
        datamodule: Data with the attribute ``input_shape``. The test split is never read.
        task: What the supernet is trained for; see :func:`~lightning_modules.tasks.make_task`.
        kit: The kit of the space; by default the one of its name.
        settings: How it is trained, and what its paths are scored by.
        relaxation_arguments: More arguments of the relaxation, such as ``costs``.
        network: Sizes of the space's supernet.
        training: Arguments of :class:`SupernetModule`; by default those of the relaxation.
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
    task: str | type[Task] | Task | None = None
    kit: Kit | None = None
    settings: StageSettings = field(default_factory=StageSettings)
    relaxation_arguments: Mapping[str, Any] | None = None
    network: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
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
        check_at_least("seed", self.seed, 0)
        self._kind = self.settings.kind
        if self.settings.proxy is not None:
            find_proxies("proxy", [self.settings.proxy])
        self._device = select_device(self.accelerator, self.devices)
        self._made_task: Task | None = None

    @property
    def begun(self) -> bool:
        """Whether an earlier run in the folder finished an epoch."""
        return self.folder is not None and Path(self.folder, RESUME_FILE).is_file()

    def run(self) -> SupernetResult:
        """Train, score and save; what an earlier run in the folder finished is not repeated.

        Raises:
            ValueError: If the folder holds a stage with other settings.
            RuntimeError: If the training diverged.
        """
        with evaluation(self._device):
            data = self.split_data()
            folder = None if self.folder is None else Path(self.folder)
            if folder is not None:
                keep_settings(folder, self._settings())
            module = RANDOM_STATE.seeded(
                lambda: self.make_module(*self.build()), self.seed, self._device
            )
            with quiet():
                self._fit(module, data, folder)
            return self._result(module, data, folder)

    def split_data(self) -> SupernetDataModule:
        """Set the data up and split it as the training will.

        Raises:
            ValueError: If there is less than a batch of samples in a part.
        """
        self._set_up()
        fraction = 0.5 if self._kind.learns else 0.0
        data, tried = (
            SupernetDataModule(self.datamodule, architecture_fraction=fraction, seed=self.seed)
            for _ in range(2)
        )
        with quiet():
            tried.train_dataloader()
        return data

    def build(self) -> tuple[Supernet, Relaxation]:
        """Build the supernet, whose weights come from the global generator, and the relaxation.

        Raises:
            ValueError: If the relaxation does not suit the space, or an argument is wrong.
        """
        return build_relaxed(
            self.space,
            self._set_up(),
            self.settings.relaxation,
            relaxation_arguments=self.relaxation_arguments,
            seed=self.seed,
            kit=self.kit,
            **self._facts,
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
        resume = None if folder is None else folder / RESUME_FILE
        trainer = make_trainer(
            max_epochs=self.settings.n_epochs,
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
        run_trainer(
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
                None if folder is None else folder / SCORES_FILE,
                proxy=self.settings.proxy,
                proxy_weight=self.settings.proxy_weight,
            )
            evaluate = PathEvaluator(
                supernet, data.datamodule, proxy=self.settings.proxy, seed=self.seed
            )
            scores.fill(evaluate, self.settings.paths, seed=self.seed, progress=self.progress)
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
            check_settings(Path(self.folder), self._settings())

    def _settings(self) -> dict[str, Any]:
        """Return what a stage is to be continued with."""
        settings = self.settings
        return {
            **(self.origin or {}),
            "space": self.space.name,
            "relaxation": settings.relaxation,
            "relaxation_arguments": dict(self.relaxation_arguments or {}),
            "epochs": settings.n_epochs,
            "network": dict(self.network or {}),
            "training": dict(self.training or {}),
            "proxy": settings.proxy if settings.scores_paths else None,
            "seed": self.seed,
            **plain(self._facts),
            "datamodule": type(self.datamodule).__name__,
            "task": task_to_dict(self._set_up()),
            "batch_size": getattr(self.datamodule, "batch_size", None),
            **{
                f"distribution of {name}": json.loads(distribution_to_json(distribution))
                for name, distribution in self.space.distributions.items()
            },
        }

    def _set_up(self) -> Task:
        """Set the data up, the first time, and return the task for it."""
        if self._made_task is None:
            self.datamodule.prepare_data()
            self.datamodule.setup("fit")
            self._made_task = make_task(self.task, self.datamodule)
        return self._made_task

    @property
    def _facts(self) -> dict[str, Any]:
        return as_kit(self.kit or self.space).facts_of(self.datamodule)
