"""A whole search as one object: stage, prior, sampler, study, and the finished network."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
import functools
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from lightning_modules._checks import check_at_least
from lightning_modules.costs import cost_names
from lightning_modules.costs.latency_evaluator import describe_table
from lightning_modules.costs.latency_evaluator import LATENCY
from lightning_modules.costs.latency_evaluator import PredictedLatency
from lightning_modules.costs.latency_evaluator import read_latency_table
from lightning_modules.costs.latency_table import LatencyTable
from lightning_modules.proxies import ProxyEvaluator
from lightning_modules.search._before_trials import ScoredBySupernet
from lightning_modules.search._before_trials import StageBeforeTrials
from lightning_modules.search._final import check_folder
from lightning_modules.search._final import FinalTraining
from lightning_modules.search._learning import default_name
from lightning_modules.search._learning import Learning
from lightning_modules.search._scores import proxy_score
from lightning_modules.search.settings import SearchSettings
from lightning_modules.search.training import training_arguments
from lightning_modules.training import FinishedModel
from lightning_modules.training import TrainingEvaluator
from optuna_nas.constraints import parse_constraints
from optuna_nas.constraints import require_kept
from optuna_nas.metrics import Metric
from optuna_nas.metrics import METRICS
from optuna_nas.prior import Prior
from optuna_nas.samplers import accepts
from optuna_nas.samplers import make_sampler
from optuna_nas.samplers import SAMPLERS
from optuna_nas.samplers import ScreeningSampler
from optuna_nas.spaces import Architecture
from optuna_nas.studies import knee
from optuna_nas.studies import make_pruner
from optuna_nas.studies.run import Reporter
from optuna_nas.studies.run import show_progress
from optuna_nas.studies.run import StudyRun
from optuna_nas.studies.storages import new_name


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Args:
        study: The study.
        front: The best trials; none if no trial is complete and feasible.
        architecture: The architecture that was finished.
        model: The finished network, with its metrics on the test split.
        path: Its checkpoint.
    """

    study: optuna.Study
    front: Sequence[FrozenTrial]
    architecture: Architecture | None = None
    model: FinishedModel | None = None
    path: Path | None = None


@dataclass(kw_only=True)
class Search(SearchSettings):
    """A search that a notebook runs as the command line does.

    A search that was stopped or killed goes on when one of the same name is run again.

    Example:

        ::

            result = Search(data="digits", objectives=["val_loss", "params"]).run()
            print(result.model.test_metrics, result.study.best_trials)

    Args:
        data_settings: Further arguments of a data module that is given by its name.
        reporter: Told of what happens; silent by default.
        progress: Whether to show progress bars; by default on a terminal outside of CI.

    The other arguments are those of
    :class:`~lightning_modules.search.settings.SearchSettings`. :meth:`check` tells what is wrong
    with them.
    """

    data_settings: Mapping[str, Any] = field(default_factory=dict)
    reporter: Reporter = field(default_factory=Reporter)
    progress: bool | None = None

    def __post_init__(self) -> None:
        if self.progress is None:
            self.progress = show_progress()
        self._is_prepared = False

    def check(self) -> None:
        """Read the data and check all settings; no study and no file is made.

        Raises:
            ValueError: If a setting is wrong; the sentence names the argument.
        """
        if not self._is_prepared:
            self._prepare()
            self._is_prepared = True

    def run(self) -> SearchResult:
        """Run the stage, the trials and the final training; what is finished is not repeated.

        Raises:
            ValueError: If a setting is wrong; the sentence names the argument.
            RuntimeError: If the stage or the final training fails.
            KeyboardInterrupt: At SIGINT or SIGTERM; the study can be continued.
            StorageFullError: If the disk is full; the study can be continued.
        """
        self.check()
        run = StudyRun(
            self._learning.space,
            self._measured,
            self._objectives,
            self._make_sampler(None),
            constraints=[*self._constraints, self._trainer.memory_constraint()],
            pruner=self._pruner,
            storage=self.storage,
            study_name=self._study_name,
            tracking_uri=self.tracking_uri,
            settings=self._kept_settings(),
            params=self._shown_settings(),
            n_trials=self.n_trials,
            timeout=self.timeout,
            progress=bool(self.progress),
            reporter=self.reporter,
        )
        with run.open():
            front = run.run(self._stage)
            result = SearchResult(run.study, front)
            if front:
                result = self._finish(run, front)
            self.reporter.say(f"study: {run.study.study_name}")
        return result

    # Checking and making the parts.

    def _prepare(self) -> None:
        self._check_numbers()
        self._learning = learning = Learning(self, self.space, self.data_settings)
        self._objectives = self._parse_objectives()
        bounds = parse_constraints(self.constraint, self._known())
        wanted = [*(m.name for m in self._objectives), *(bound.metric for bound in bounds)]
        self._check_use_of_table(wanted)
        self._study_name = self.study_name or new_name(
            default_name(learning.data_name, learning.space_name)
        )
        self._pruner = make_pruner(self.pruner, epochs=self.epochs, objectives=self._objectives)
        check_folder(Path(self.output, self.study_name or ""), "output")
        build = learning.set_up()
        notice = getattr(learning.datamodule, "notice", None)
        if notice:
            self.reporter.say(notice)
        self._table, self._table_source = self._read_table()
        metrics = [*wanted, "params"]
        if self._table is not None:
            metrics = [name for name in metrics if name != LATENCY]
        self._trainer = TrainingEvaluator(
            build,
            learning.datamodule,
            task=learning.task,
            module=learning.module,
            metrics=list(dict.fromkeys(metrics)),
            max_epochs=self.epochs,
            **training_arguments(self, self.seed),
        )
        scorer = ScoredBySupernet(self._trainer) if self.evaluate == "supernet" else None
        evaluator = scorer or self._trainer
        self._measured = (
            evaluator if self._table is None else PredictedLatency(evaluator, self._table)
        )
        self._constraints = [
            bound.with_function(functools.partial(self._measured.cost, bound.metric))
            if bound.metric in cost_names()
            else bound
            for bound in bounds
        ]
        counted = [*cost_names("counted"), *([] if self._table is None else [LATENCY])]
        self._cheap = [bound for bound in self._constraints if bound.metric in counted]
        require_kept(learning.space, self._cheap, np.random.default_rng(self.seed))
        self._score = self._screening_score(build)
        self._make_sampler(None)
        self._final = FinalTraining(
            build,
            learning.datamodule,
            learning.space,
            learning.task,
            learning.module,
            wanted,
            {
                "max_epochs": self.final_epochs or 3 * self.epochs,
                **training_arguments(self, self.seed),
            },
            learning.description,
        )
        self._stage = StageBeforeTrials.make(
            self,
            learning,
            table=self._table,
            strategy=self._make_sampler,
            knows_prior=accepts(self._factory, "prior"),
            evaluator=self._trainer,
            scorer=scorer,
        )

    def _check_numbers(self) -> None:
        for name in ("n_trials", "epochs"):
            check_at_least(name, getattr(self, name), 1)
        if self.final_epochs is not None:
            check_at_least("final_epochs", self.final_epochs, 1)
        if self.timeout is not None and self.timeout <= 0:
            raise ValueError(f"Expected argument `timeout` to be above 0 but got {self.timeout}.")

    def _known(self) -> list[str] | None:
        """Return the names that a metric can have; any, if a module of the user's own logs it."""
        kind = self._learning.task_class
        return None if kind is None else [*kind.trained_metrics(), *cost_names()]

    def _parse_objectives(self) -> list[Metric]:
        known, kind = self._known(), self._learning.task_class
        names = self.objectives
        if names is None and kind is not None:
            names = [kind.primary()]
        metrics = [METRICS.parse(text) for text in names or [""]]
        found = [metric.name for metric in metrics]
        if (known is not None and not set(found) <= set(known)) or len(set(found)) < len(found):
            raise ValueError(
                f"Expected argument `objectives` to be different names of "
                f"{', '.join(known or ['what the module logs'])} but got {' '.join(names or [])}."
            )
        return metrics

    def _check_use_of_table(self, metrics: Sequence[str]) -> None:
        if self.latency_table is not None and LATENCY not in metrics:
            raise ValueError(
                f"Expected argument `latency_table` only with {LATENCY} as an objective or in a "
                f"constraint but got {self.latency_table!r} for "
                f"{' '.join(dict.fromkeys(metrics))}."
            )

    def _read_table(self) -> tuple[LatencyTable | None, str | None]:
        """Return the table of latencies, and in words where it comes from."""
        if self.latency_table is None:
            return None, None
        learning = self._learning
        if learning.task is None:
            raise ValueError(
                "Expected argument `latency_table` only with a task, whose head is in the table, "
                "but got a module of your own."
            )
        table = read_latency_table(
            self.latency_table,
            learning.space,
            kit=learning.kit,
            task=learning.task,
            **learning.network,
        )
        return table, describe_table(self.latency_table, table)

    # The strategy.

    @property
    def _factory(self) -> Any:
        if isinstance(self.sampler, str):
            return SAMPLERS.get(self.sampler)
        return self.sampler

    def _screening_score(self, build: Any) -> Any:
        if not self.screen:
            return None
        try:
            evaluator = ProxyEvaluator(
                build,
                self._learning.datamodule,
                task=self._learning.task,
                metrics=self.screen,
                seed=self.seed,
                accelerator=self.accelerator,
            )
        except ValueError as error:
            raise ValueError(str(error).replace("`metrics`", "`screen`")) from error
        return proxy_score(evaluator, self.screen, self._learning.space, self.seed)

    def _make_sampler(self, prior: Prior | None) -> optuna.samplers.BaseSampler:
        """Return the sampler, which screens its proposals if there is a score."""
        shared: dict[str, Any] = {
            "seed": self.seed,
            "space": self._learning.space,
            "constraints": self._cheap,
        }
        sampler = make_sampler(self._factory, prior=prior, **shared)
        if self._score is None:
            return sampler
        return ScreeningSampler(sampler, self._score, pool=self.pool, **shared)

    # What a study keeps, and the end.

    def _kept_settings(self) -> dict[str, Any]:
        learning = self._learning
        return {
            "data": learning.data_name,
            "space": learning.space_name,
            "network": learning.sizes,
            "epochs": self.epochs,
            "constraint": sorted(map(str, self._constraints)),
            "latency_table": self._table_source,
            **{
                key: value
                for key, value in learning.description.items()
                if key not in ("data", "space", "arguments", "batch_size")
            },
            **(self._stage.settings if self._stage is not None else {}),
        }

    def _shown_settings(self) -> dict[str, Any]:
        sampler = self.sampler if isinstance(self.sampler, str) else self._factory.__name__
        return {
            **{key: value for key, value in self._kept_settings().items() if value is not None},
            "sampler": sampler,
            "pruner": self.pruner,
            "screen": list(self.screen),
        }

    def _finish(self, run: StudyRun, front: Sequence[FrozenTrial]) -> SearchResult:
        trial = knee(front, run.study.directions) if self.pick == "knee" else front[0]
        architecture = self._learning.space.architecture(trial.params)
        folder = Path(self.output) / run.study.study_name
        model, path = self._final.run(
            architecture, folder, self.reporter, progress=bool(self.progress)
        )
        run.tracker.log_final(run.study, trial.number, model.test_metrics, path)
        return SearchResult(run.study, front, architecture, model, path)
