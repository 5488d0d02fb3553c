"""The option ``--latency-table``: latencies added up from a table instead of measured."""

from __future__ import annotations

from typing import Any

from lightning_modules.cli._errors import as_command_error
from lightning_modules.costs.latency_evaluator import describe_table as describe
from lightning_modules.costs.latency_evaluator import LATENCY
from lightning_modules.costs.latency_evaluator import PredictedLatency
from lightning_modules.costs.latency_evaluator import read_latency_table
from lightning_modules.costs.latency_table import LatencyTable
from lightning_modules.tasks import Task
from optuna_nas.spaces import SearchSpace


__all__ = ["LATENCY", "PredictedLatency", "describe", "read_table"]


def read_table(path: str, space: SearchSpace, *, task: Task, **network: Any) -> LatencyTable:
    """Read a complete table; see :func:`read_latency_table`.

    Raises:
        CommandError: If there is no such table, or it is of other networks, or unfinished.
    """
    try:
        return read_latency_table(path, space, task=task, **network)
    except ValueError as error:
        raise as_command_error(error) from error
