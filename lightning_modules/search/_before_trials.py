"""The supernet stage of a search: before the first trial, and once for the study."""

from __future__ import annotations

from collections.abc import Callable
import copy
from dataclasses import dataclass
import functools
from pathlib import Path
from typing import Any

import optuna
import pytorch_lightning as pl

from lightning_modules.costs.latency_table import LatencyTable
from lightning_modules.registries import RELAXATIONS
from lightning_modules.search._final import check_folder
from lightning_modules.search._learning import Learning
from lightning_modules.search._stage import alone
from lightning_modules.search._stage import describe_stage
from lightning_modules.search._stage import EpochTeller
from lightning_modules.search._stage import make_stage
from lightning_modules.search._stage import run_stage
from lightning_modules.search._stage import say_found
from lightning_modules.search.settings import NONE
from lightning_modules.search.settings import SearchSettings
from lightning_modules.search.training import training_arguments
from lightning_modules.supernet import load_supernet
from lightning_modules.supernet import stage_settings
from lightning_modules.supernet import Supernet
from lightning_modules.supernet import SUPERNET_FILE
from lightning_modules.supernet import SupernetEvaluator
from lightning_modules.supernet import SupernetStage
from lightning_modules.training import TrainingEvaluator
from optuna_nas.evaluation import Evaluation
from optuna_nas.evaluation import Report
from optuna_nas.prior import Prior
from optuna_nas.prior import store_prior
from optuna_nas.prior import stored_prior
from optuna_nas.prior import warm_start
from optuna_nas.spaces import Architecture
from optuna_nas.studies.interrupts import is_interrupt
from optuna_nas.studies.run import StudyRun


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

    def use(self, supernet: Supernet, module: pl.LightningDataModule) -> None:
        """Score with the weights of this supernet, on samples of this data."""
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
class StageBeforeTrials:
    """What a search does before its first trial.

    Args:
        stage: The stage.
        search: The settings of the search.
        learning: Data, space and task.
        strategy: Makes the sampler with a prior.
        knows_prior: Whether that sampler can use one.
        evaluator: Trains the trials, or knows their cost metrics.
        scorer: Scores them instead of training.
    """

    stage: SupernetStage
    search: SearchSettings
    learning: Learning
    strategy: Callable[[Prior], optuna.samplers.BaseSampler]
    knows_prior: bool
    evaluator: TrainingEvaluator
    scorer: ScoredBySupernet | None

    @classmethod
    def make(
        cls,
        search: SearchSettings,
        learning: Learning,
        *,
        table: LatencyTable | None,
        strategy: Callable[[Prior], optuna.samplers.BaseSampler],
        knows_prior: bool,
        evaluator: TrainingEvaluator,
        scorer: ScoredBySupernet | None,
    ) -> StageBeforeTrials | None:
        """Return the stage that the settings ask for, None if they ask for none.

        Raises:
            ValueError: If the settings do not go together, or cannot be met.
        """
        _check_settings(search)
        if search.supernet == NONE:
            return None
        folder = None if search.supernet_folder is None else Path(search.supernet_folder)
        if folder is not None:
            check_folder(folder, "supernet_folder")
        found = None if folder is None else stage_settings(folder)
        stage = make_stage(
            search.supernet,
            search,
            learning,
            training_arguments(search, search.seed),
            table=table,
            training=None if found is None else found["training"],
            folder=folder,
        )
        return cls(stage, search, learning, strategy, knows_prior, evaluator, scorer)

    @property
    def settings(self) -> dict[str, Any]:
        """What a continued search must share, None for what has no meaning."""
        search, folder = self.search, self.search.supernet_folder
        return {
            "supernet": search.supernet,
            "supernet_epochs": self.stage.settings.n_epochs,
            "supernet_paths": search.supernet_paths,
            "supernet_proxy": self.stage.settings.proxy
            if self.stage.settings.scores_paths
            else None,
            "supernet_folder": None if folder is None else str(Path(folder).resolve()),
            "inherit_weights": search.inherit_weights or None,
            "evaluate": search.evaluate if search.evaluate != "training" else None,
        }

    @property
    def _needs_weights(self) -> bool:
        return self.search.inherit_weights or self.search.evaluate == "supernet"

    def __call__(self, run: StudyRun) -> None:
        """Train the supernet, unless it was done before, and let the search start from it.

        Raises:
            ValueError: If the stage cannot be run or continued.
            RuntimeError: If its training fails.
        """
        space, stage = self.learning.space, self.stage
        if self.search.supernet_folder is None:
            stage.folder = Path(self.search.output) / run.study.study_name / "supernet"
        folder = Path(str(stage.folder))
        file = folder / SUPERNET_FILE
        with alone(folder, run.reporter):
            found = stored_prior(run.study, space)
            if found is None or (self._needs_weights and not file.is_file()):
                found = self._train(run)
            else:
                run.reporter.say("The supernet has been trained before.")
                self._log(run, *found, file if file.is_file() else None)
        prior, architecture = found
        say_found(stage, architecture, run.reporter)
        run.study.sampler = self.strategy(prior)
        if self._needs_weights:
            self._use(file)

    def _train(self, run: StudyRun) -> tuple[Prior, Architecture]:
        stage, study = self.stage, run.study
        settings = describe_stage(stage, self.learning)
        stage.progress = run.progress
        stage.report = EpochTeller(
            stage.settings.n_epochs,
            None if run.progress else run.reporter,
            functools.partial(run.tracker.on_supernet_epoch, study),
        )
        run.tracker.start_supernet(study, settings)
        try:
            result = run_stage(stage, run.reporter)
        except Exception as error:
            if not is_interrupt(error):
                run.tracker.fail_supernet(study)
            raise
        if stored_prior(study, self.learning.space) is None:
            self._enqueue(run, result.prior, result.architecture)
            store_prior(study, result.prior, result.architecture, settings)
        self._log(run, result.prior, result.architecture, result.path)
        return result.prior, result.architecture

    def _enqueue(self, run: StudyRun, prior: Prior, architecture: Architecture) -> None:
        """Let the first trials be the architecture that was found, and others that are likely.

        The rule by which a relaxation finds it can differ from the most likely choices.
        """
        n = 1 if self.knows_prior else min(_MOST_ENQUEUED, run.n_trials // 2)
        if n > 0 and architecture != prior.most_likely():
            run.study.enqueue_trial(dict(architecture))
            n -= 1
        if n > 0:
            warm_start(run.study, self.learning.space, prior, n, seed=self.search.seed)

    def _log(
        self, run: StudyRun, prior: Prior, architecture: Architecture, file: Path | None
    ) -> None:
        run.tracker.start_supernet(run.study, describe_stage(self.stage, self.learning))
        run.tracker.log_supernet(run.study, prior, architecture, file)

    def _use(self, file: Path) -> None:
        """Let the trials start from the trained supernet, or be scored with it."""
        supernet = load_supernet(file, self.learning.space, kit=self.learning.kit)
        supernet = supernet.to(self.evaluator.device)
        if self.scorer is not None:
            self.scorer.use(supernet, self.learning.datamodule)
        else:
            self.evaluator.inherit_weights = supernet


def _check_settings(search: SearchSettings) -> None:
    """Raise a ValueError if settings of the stage do not go together."""
    if search.supernet_folder == "":
        raise ValueError("Expected argument `supernet_folder` to be a folder but got ''.")
    weights = "inherit_weights" if search.inherit_weights else "evaluate"
    uses_weights = search.inherit_weights or search.evaluate == "supernet"
    if search.supernet == NONE:
        for name, given in [
            (weights, uses_weights),
            ("supernet_epochs", search.supernet_epochs is not None),
            ("supernet_folder", search.supernet_folder is not None),
        ]:
            if given:
                raise ValueError(
                    f"Expected argument `{name}` only with argument `supernet` but got none."
                )
        return
    kind = RELAXATIONS.get(search.supernet, argument="supernet")
    if uses_weights and kind.supernet_arguments.get("partial_channels"):
        raise ValueError(
            f"Expected argument `{weights}` with a supernet of whole networks but got argument "
            f"`supernet` {search.supernet}, whose operations see a part of the channels."
        )
    if search.evaluate == "supernet" and (search.inherit_weights or search.pruner != "none"):
        other = "inherit_weights" if search.inherit_weights else "pruner"
        raise ValueError(
            f"Expected argument `{other}` only with trials that are trained but got argument "
            "`evaluate` supernet."
        )
