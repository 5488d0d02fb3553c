"""Latencies from a table in the place of measured ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from typing import Protocol

from lightning_modules.costs.latency_table import LatencyTable
from lightning_modules.spaces import Kit
from lightning_modules.tasks import Task
from optuna_nas.evaluation import Evaluation
from optuna_nas.evaluation import Report
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


LATENCY = "latency_ms"
"""The metric that a table predicts."""


class CostEvaluator(Protocol):
    """An evaluator that also returns cost metrics alone."""

    def __call__(self, architecture: Architecture, *, report: Report | None = None) -> Evaluation:
        """Measure ``architecture``; see :class:`~optuna_nas.Evaluator`."""

    def cost(self, metric: str, architecture: Architecture) -> float:
        """Return a cost metric; see :meth:`~lightning_modules.TrainingEvaluator.cost`."""


class PredictedLatency:
    """An evaluator whose ``latency_ms`` comes from a table; all else comes from another.

    Args:
        evaluator: Measures everything else.
        table: Predicts the latency.
    """

    def __init__(self, evaluator: CostEvaluator, table: LatencyTable) -> None:
        self._evaluator = evaluator
        self._table = table

    def __call__(self, architecture: Architecture, *, report: Report | None = None) -> Evaluation:
        """Measure ``architecture``; see :class:`~optuna_nas.Evaluator`."""
        measured = self._evaluator(architecture, report=report)
        predicted = self._table.predict_ms(architecture)
        return Evaluation({**measured.metrics, LATENCY: predicted}, measured.constraints)

    def cost(self, metric: str, architecture: Architecture) -> float:
        """Return a cost metric; see :meth:`~lightning_modules.TrainingEvaluator.cost`."""
        if metric == LATENCY:
            return self._table.predict_ms(architecture)
        return self._evaluator.cost(metric, architecture)


def read_latency_table(
    path: str | Path, space: SearchSpace, *, task: Task, kit: Kit | None = None, **network: Any
) -> LatencyTable:
    """Read a complete table of the networks of a search.

    Args:
        path: File that :meth:`LatencyTable.save` wrote.
        space: Search space of the search.
        task: The task of the search.
        kit: The kit of the space; by default the one with its name.
        network: ``input_shape`` and all sizes of the backbone.

    Raises:
        ValueError: If there is no such table, or it is of other networks, or unfinished.
    """
    table = LatencyTable.load(path, kit=kit, task=type(task))
    table.require_fit(space, task=task, **network)
    missing = table.missing()
    if missing:
        raise ValueError(
            f"Expected argument `latency_table` to be a complete table but {len(missing)} entries "
            f"of {path} have not been measured; continue it with optuna-nas profile."
        )
    return table


def describe_table(path: str | Path, table: LatencyTable) -> str:
    """Return where the latencies come from, for the records of a study."""
    settings = table.settings
    return (
        f"{Path(path).name}, profiled on {settings.get('device_name')} with "
        f"{settings.get('threads')} threads and batch size {settings.get('batch_size')}, "
        f"{settings.get('date')}"
    )
