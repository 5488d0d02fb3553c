"""The evaluator of a search without training: proxies of the untrained network."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
import threading
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils._pytree import tree_map

from lightning_modules._checks import check_at_least
from lightning_modules.backbone import Build
from lightning_modules.data._draw import draw_batches
from lightning_modules.proxies._compute import compute_proxies
from lightning_modules.proxies._compute import find_proxies
from lightning_modules.tasks import make_task
from lightning_modules.tasks import Task
from lightning_modules.training.device import select_device
from lightning_modules.training.random_state import evaluation
from lightning_modules.training.random_state import RANDOM_STATE
from optuna_nas import Architecture
from optuna_nas import Evaluation
from optuna_nas.evaluation import Report
from optuna_nas.metrics import Metric
from optuna_nas.metrics import METRICS


_LOCK = threading.Lock()  # Of the module, as an evaluator should pickle.
_LOCK_OF_REFERENCES = threading.Lock()


class ProxyEvaluator:
    """Scores the untrained network of an architecture; see :class:`~optuna_nas.Evaluator`.

    It can be handed to :class:`~optuna_nas.ArchitectureObjective`, where its metrics are
    objectives to maximise like any other, and :meth:`score` makes a plain function of one of them.
    The same architecture, arguments and data give the same result on a CPU, and the global random
    state is left as found.

    Args:
        build: Makes the backbone of an architecture, or its whole network, e.g.
            ``functools.partial(build_cell_backbone, input_shape=(1, 28, 28))``.
        datamodule: Gives the training samples; validation and test split are not used. The batch
            is a seeded, stratified part of them, not augmented, and drawn once; see
            :func:`~lightning_modules.data.draw_batches`.
        task: Adds the head to a backbone and gives the loss; see
            :func:`~lightning_modules.tasks.make_task`.
        metrics: Names of the values to return, of :data:`~lightning_modules.registries.PROXIES`,
            or ``MODULE:NAME`` or ``FILE.py:NAME``. They are put into
            :data:`~optuna_nas.metrics.METRICS`, to be maximised, unless that knows the name.
        batch_size: Number of samples, at least 2; fewer if there are fewer training samples.
        seed: Seed of the initial weights and of the batch, at least 0.
        accelerator: ``"auto"``, ``"cpu"``, or the kind of a device that is there.

    Raises:
        ValueError: If an argument is unknown or out of its range.
    """

    def __init__(
        self,
        build: Build,
        datamodule: pl.LightningDataModule,
        *,
        task: str | type[Task] | Task | None = None,
        metrics: Sequence[str] = ("synflow",),
        batch_size: int = 64,
        seed: int = 0,
        accelerator: str = "auto",
    ) -> None:
        find_proxies("metrics", metrics)
        check_at_least("batch_size", batch_size, 2)
        check_at_least("seed", seed, 0)
        self.build = build
        self.datamodule = datamodule
        self.task = task
        self.metrics = tuple(metrics)
        for name in self.metrics:
            if METRICS.find(name) is None:
                METRICS.add(Metric(name, "maximize", source="proxy"))
        self.batch_size = batch_size
        self.seed = seed
        self.device = select_device(accelerator, 1)
        self._drawn: tuple[Task, Any, Any] | None = None

    def __call__(self, architecture: Architecture, *, report: Report | None = None) -> Evaluation:
        """Score ``architecture``.

        Args:
            architecture: What ``build`` can build.
            report: Never called, as there are no epochs.

        Returns:
            The metrics that were asked for, in their order; higher is better.

        Raises:
            ValueError: If the data module gives no such batch.
            RuntimeError: If a score is NaN or infinity.
        """
        return Evaluation(self._measure(architecture, self.metrics))

    def score(self, metric: str) -> Callable[[Architecture], float]:
        """Return a function from an architecture to its value of ``metric``, higher is better.

        It pickles if ``build`` and the data module do.

        Raises:
            ValueError: If ``metric`` is not one of :data:`~lightning_modules.registries.PROXIES`.
        """
        find_proxies("metric", [metric])
        return _Score(self, metric)

    def rank_score(
        self, metrics: Sequence[str], reference: Sequence[Architecture]
    ) -> Callable[[Architecture], float]:
        """Return a function from an architecture to its mean rank by several proxies.

        The rank by one proxy is the share of the reference that scores less, equal ones counting
        half. So proxies count alike, whatever their units, also where architectures come one at a
        time; :func:`~lightning_modules.rank_aggregate` ranks architectures among themselves.

        Args:
            metrics: Names of :data:`~lightning_modules.registries.PROXIES`.
            reference: Architectures to compare with, e.g. 64 random ones. They are scored at the
                first call.

        Returns:
            A function with values in [0, 1], higher is better. It pickles if ``build`` and the
            data module do.

        Raises:
            ValueError: If a metric is unknown or there is no reference.
        """
        find_proxies("metrics", metrics)
        if not reference:
            raise ValueError("Expected argument `reference` to be architectures but got none.")
        return _RankScore(self, tuple(metrics), tuple(reference))

    def _measure(self, architecture: Architecture, metrics: Sequence[str]) -> dict[str, float]:
        with evaluation(self.device):
            task, inputs, targets = self._task_and_batch()
            network = RANDOM_STATE.build(
                task.builder(self.build), architecture, self.seed, self.device
            ).to(self.device)
            return compute_proxies(network, inputs, targets, task.loss, metrics)

    def _task_and_batch(self) -> tuple[Task, Any, Any]:
        with _LOCK:
            if self._drawn is None:
                # Other threads make no networks while the global generators are seeded.
                self._drawn = RANDOM_STATE.seeded(self._draw, self.seed, self.device)
            return self._drawn

    def _draw(self) -> tuple[Task, Any, Any]:
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")
        n = self.batch_size
        first, *others = draw_batches(
            self.datamodule, "train", n, seed=self.seed, device=self.device, batch_size=n
        )
        if others:  # The data module puts batches together itself.
            first = tree_map(lambda *parts: torch.cat(parts)[:n], first, *others)
        inputs, targets = first
        return make_task(self.task, self.datamodule), inputs, targets


@dataclass
class _RankScore:
    """The mean rank of several metrics of an evaluator as a function."""

    evaluator: ProxyEvaluator
    metrics: tuple[str, ...]
    reference: tuple[Architecture, ...]
    _columns: dict[str, np.ndarray] = field(default_factory=dict)

    def __call__(self, architecture: Architecture) -> float:
        with _LOCK_OF_REFERENCES:
            if not self._columns:
                rows = [self._scores(member) for member in self.reference]
                self._columns = {
                    name: np.sort([row[name] for row in rows]) for name in self.metrics
                }
        scores = self._scores(architecture)
        return float(np.mean([self._rank(name, scores[name]) for name in self.metrics]))

    def _scores(self, architecture: Architecture) -> dict[str, float]:
        return self.evaluator._measure(architecture, self.metrics)

    def _rank(self, name: str, score: float) -> float:
        column = self._columns[name]
        less, not_more = np.searchsorted(column, score), np.searchsorted(column, score, "right")
        return float(less + not_more) / (2 * len(column))


@dataclass(frozen=True)
class _Score:
    """One metric of an evaluator as a function."""

    evaluator: ProxyEvaluator
    metric: str

    def __call__(self, architecture: Architecture) -> float:
        return self.evaluator._measure(architecture, [self.metric])[self.metric]
