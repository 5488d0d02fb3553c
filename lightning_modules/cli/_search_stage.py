"""The supernet stage of a search: before the first trial, and once for the study."""

from __future__ import annotations

from collections.abc import Callable
import copy
from dataclasses import dataclass
import functools
from pathlib import Path

import optuna

from lightning_modules import CheckpointError
from lightning_modules import LatencyTable
from lightning_modules import TrainingEvaluator
from lightning_modules.cli._errors import as_command_error
from lightning_modules.cli._finish import Training
from lightning_modules.cli._stage_options import StageOptions
from lightning_modules.cli._supernet import alone
from lightning_modules.cli._supernet import check_folder
from lightning_modules.cli._supernet import describe_stage
from lightning_modules.cli._supernet import EpochPrinter
from lightning_modules.cli._supernet import make_stage
from lightning_modules.cli._supernet import print_found
from lightning_modules.cli._supernet import run_stage
from lightning_modules.data import ImageDataModule
from lightning_modules.supernet import load_supernet
from lightning_modules.supernet import stage_settings
from lightning_modules.supernet import Supernet
from lightning_modules.supernet import SUPERNET_FILE
from lightning_modules.supernet import SupernetEvaluator
from lightning_modules.supernet import SupernetStage
from optuna_nas.evaluation import Evaluation
from optuna_nas.evaluation import Report
from optuna_nas.prior import Prior
from optuna_nas.prior import store_prior
from optuna_nas.prior import stored_prior
from optuna_nas.prior import warm_start
from optuna_nas.spaces import Architecture
from optuna_nas.studies.interrupts import is_interrupt
from optuna_nas.studies.runner import SearchRun


_MOST_ENQUEUED = 5
"""Architectures of the prior with which a sampler that knows no prior starts."""


class ScoredBySupernet:
    """An evaluator that only scores with the weights of a supernet, which the stage leaves later.

    Args:
        evaluator: Knows the cost metrics.
    """

    def __init__(self, evaluator: TrainingEvaluator) -> None:
        self._evaluator = evaluator
        self._scorer: SupernetEvaluator | None = None

    def use(self, supernet: Supernet, module: ImageDataModule) -> None:
        """Score with the weights of this supernet, on images of this data."""
        self._scorer = SupernetEvaluator.from_data(
            supernet,
            copy.copy(module),
            metrics=self._evaluator.metrics,
            costs=self._evaluator.costs,
        )

    def __call__(self, architecture: Architecture, *, report: Report | None = None) -> Evaluation:
        """Score ``architecture``; see :class:`~optuna_nas.Evaluator`."""
        assert self._scorer is not None
        return self._scorer(architecture)

    def cost(self, metric: str, architecture: Architecture) -> float:
        """Return a cost metric; see :meth:`~lightning_modules.TrainingEvaluator.cost`."""
        return self._evaluator.cost(metric, architecture)


@dataclass
class SearchStage:
    """What a search does before its first trial.

    Args:
        choice: The options of the stage.
        options: The options that all trainings share.
        module: The data.
        table: Latencies that count in the loss, if the search wants low ones.
        output: Folder of the search; the stage's is ``<output>/<study>/supernet``, unless one is
            given, which has a learning rate of its own.
        strategy: Makes the sampler with a prior.
        knows_prior: Whether that sampler can use one.
        evaluator: Trains the trials, or knows their cost metrics.
        scorer: Scores them instead of training.
    """

    choice: StageOptions
    options: Training
    module: ImageDataModule
    table: LatencyTable | None
    output: Path
    strategy: Callable[[Prior], optuna.samplers.BaseSampler]
    knows_prior: bool
    evaluator: TrainingEvaluator
    scorer: ScoredBySupernet | None

    def __post_init__(self) -> None:
        folder = self.choice.folder
        found = None if folder is None else stage_settings(folder)
        self._stage: SupernetStage = make_stage(
            self.choice,
            self.options,
            self.module,
            table=self.table,
            training=None if found is None else found["training"],
            folder=folder,
        )
        if folder is not None:
            check_folder(self._stage)  # Before there is a study.

    def __call__(self, run: SearchRun) -> None:
        """Train the supernet, unless it was done before, and let the search start from it.

        Raises:
            CommandError: If the stage cannot be run or continued.
        """
        own = self.output / run.study.study_name / "supernet"
        folder = self.choice.folder or own
        file = folder / SUPERNET_FILE
        with alone(folder):
            found = stored_prior(run.study, self.options.named.space)
            if found is None or (self.choice.needs_weights and not file.is_file()):
                found = self._train(run, folder)
            else:
                print("The supernet has been trained before.")
                self._log(run, *found, file if file.is_file() else None)
        prior, architecture = found
        print_found(self.options.named.space, architecture, folder)
        run.study.sampler = self.strategy(prior)
        if self.choice.needs_weights:
            self._use(file)

    def _train(self, run: SearchRun, folder: Path) -> tuple[Prior, Architecture]:
        stage, study = self._stage, run.study
        stage.folder, stage.progress = folder, run.progress
        stage.report = EpochPrinter(
            stage.epochs,
            not run.progress,
            functools.partial(run.tracker.on_supernet_epoch, study),
        )
        run.tracker.start_supernet(study, describe_stage(stage, self.options))
        try:
            result = run_stage(stage)
        except Exception as error:
            if not is_interrupt(error):
                run.tracker.fail_supernet(study)
            raise
        if stored_prior(study, self.options.named.space) is None:
            self._enqueue(run, result.prior, result.architecture)
            settings = describe_stage(stage, self.options)
            store_prior(study, result.prior, result.architecture, settings)
        self._log(run, result.prior, result.architecture, result.path)
        return result.prior, result.architecture

    def _enqueue(self, run: SearchRun, prior: Prior, architecture: Architecture) -> None:
        """Let the first trials be the architecture that was found, and others that are likely.

        The rule by which a relaxation finds it can differ from the most likely choices.
        """
        n = 1 if self.knows_prior else min(_MOST_ENQUEUED, run.n_trials // 2)
        if n > 0 and architecture != prior.most_likely():
            run.study.enqueue_trial(dict(architecture))
            n -= 1
        if n > 0:
            warm_start(run.study, self.options.named.space, prior, n, seed=self.options.seed)

    def _log(
        self, run: SearchRun, prior: Prior, architecture: Architecture, file: Path | None
    ) -> None:
        run.tracker.start_supernet(run.study, describe_stage(self._stage, self.options))
        run.tracker.log_supernet(run.study, prior, architecture, file)

    def _use(self, file: Path) -> None:
        """Let the trials start from the trained supernet, or be scored with it."""
        try:
            supernet = load_supernet(file, self.options.named.space)
        except CheckpointError as error:
            raise as_command_error(error) from error
        supernet = supernet.to(self.evaluator.device)
        if self.scorer is not None:
            self.scorer.use(supernet, self.module)
        else:
            self.evaluator.inherit_weights = supernet
