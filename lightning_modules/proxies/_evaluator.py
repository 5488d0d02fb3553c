"""The evaluator of a search without training: proxies of the untrained network."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import copy
from dataclasses import dataclass
from dataclasses import field
import threading

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor

from lightning_modules.proxies._registry import check_names
from lightning_modules.proxies._registry import compute_proxies
from lightning_modules.training import trainer as _training
from optuna_nas import Architecture
from optuna_nas import Evaluation
from optuna_nas.evaluation import Report


_LOCK = threading.Lock()  # Of the module, as an evaluator should pickle.
_LOCK_OF_REFERENCES = threading.Lock()


class ProxyEvaluator:
    """Scores the untrained network of an architecture; see :class:`~optuna_nas.Evaluator`.

    It can be handed to :class:`~optuna_nas.ArchitectureObjective`, where its metrics are
    objectives to maximise like any other, and :meth:`score` makes a plain function of one of them.
    The same architecture, arguments and data give the same result on a CPU, and the global random
    state is left as found.

    Args:
        build: Makes the network of an architecture, e.g.
            ``functools.partial(build_cell_network, input_shape=(1, 28, 28), num_classes=10)``.
        datamodule: Gives the training images; validation and test split are not used. The batch is
            the first that it gives, not augmented, and drawn once.
        metrics: Names of the values to return, of :data:`~lightning_modules.proxies.PROXIES`.
        batch_size: Number of images, at least 2; fewer if there are fewer training images.
        seed: Seed of the initial weights, at least 0, and of the order of the images where the
            data module has no seed of its own.
        accelerator: ``"auto"``, ``"cpu"``, or the kind of a device that is there.

    Raises:
        ValueError: If an argument is unknown or out of its range.
    """

    def __init__(
        self,
        build: Callable[[Architecture], nn.Module],
        datamodule: pl.LightningDataModule,
        *,
        metrics: Sequence[str] = ("synflow",),
        batch_size: int = 64,
        seed: int = 0,
        accelerator: str = "auto",
    ) -> None:
        check_names("metrics", metrics)
        for name, value, least in [("batch_size", batch_size, 2), ("seed", seed, 0)]:
            if value < least:
                raise ValueError(
                    f"Expected argument `{name}` to be at least {least} but got {value}."
                )
        self.build = build
        self.datamodule = datamodule
        self.metrics = tuple(metrics)
        self.batch_size = batch_size
        self.seed = seed
        self.device = _training.select_device(accelerator, 1)
        self._batch: tuple[Tensor, Tensor] | None = None

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
            ValueError: If ``metric`` is not one of :data:`~lightning_modules.proxies.PROXIES`.
        """
        check_names("metric", [metric])
        return _Score(self, metric)

    def rank_score(
        self, metrics: Sequence[str], reference: Sequence[Architecture]
    ) -> Callable[[Architecture], float]:
        """Return a function from an architecture to its mean rank by several proxies.

        The rank by one proxy is the share of the reference that scores less, equal ones counting
        half. So proxies count alike, whatever their units, also where architectures come one at a
        time; :func:`~lightning_modules.rank_aggregate` ranks architectures among themselves.

        Args:
            metrics: Names of :data:`~lightning_modules.proxies.PROXIES`.
            reference: Architectures to compare with, e.g. 64 random ones. They are scored at the
                first call.

        Returns:
            A function with values in [0, 1], higher is better. It pickles if ``build`` and the
            data module do.

        Raises:
            ValueError: If a metric is unknown or there is no reference.
        """
        check_names("metrics", metrics)
        if not reference:
            raise ValueError("Expected argument `reference` to be architectures but got none.")
        return _RankScore(self, tuple(metrics), tuple(reference))

    def _measure(self, architecture: Architecture, metrics: Sequence[str]) -> dict[str, float]:
        with _training.evaluation(self.device):
            images, labels = self._drawn_batch()
            network = _training.RANDOM_STATE.build(
                self.build, architecture, self.seed, self.device
            ).to(self.device)
            return compute_proxies(network, images, labels, metrics)

    def _drawn_batch(self) -> tuple[Tensor, Tensor]:
        with _LOCK:
            if self._batch is None:
                self._batch = _training.RANDOM_STATE.seeded(self._draw, self.seed, self.device)
            return self._batch

    def _draw(self) -> tuple[Tensor, Tensor]:
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")
        # A copy, as a loader may start the augmentation of a training that runs beside this.
        batches: list[tuple[Tensor, Tensor]] = []
        for images, labels in copy.copy(self.datamodule).train_dataloader():
            batches.append((images, labels))
            if sum(len(labels) for _, labels in batches) >= self.batch_size:
                break
        if not batches:
            raise ValueError("Expected argument `datamodule` to have training data.")
        images, labels = (
            torch.cat(parts)[: self.batch_size].to(self.device)
            for parts in zip(*batches, strict=True)
        )
        return images, labels


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
