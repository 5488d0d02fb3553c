"""Latencies from a table in the place of measured ones, and tables that do not fit."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any

import pytest

from lightning_modules import Classification
from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules import PredictedLatency
from lightning_modules import Regression
from lightning_modules.costs.latency_evaluator import describe_table
from lightning_modules.costs.latency_evaluator import read_latency_table
from lightning_modules.costs.latency_profile import describe_device
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import Evaluation


SPACE = CellSpace(n_nodes=3)
NETWORK: dict[str, Any] = {"input_shape": (1, 8, 8), "channels": 2, "cells_per_stage": 1}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    settings = {**describe_device("cpu"), "threads": 1, "batch_size": 1}
    table = LatencyTable(
        "cell", SPACE.distributions, {**NETWORK, "task": Classification(3)}, settings
    )
    for _, name in table.operations:
        table.record(name, Latency(float(len(name)), 0.0))
    table.save(tmp_path / "table.json")
    return tmp_path / "table.json"


class Measured:
    """Measures nothing, and says how often it was asked."""

    calls = 0

    def __call__(self, architecture: Architecture, *, report: Any = None) -> Evaluation:
        self.calls += 1
        return Evaluation({"val_loss": 0.5, "params": 7.0}, {"params<=9": -0.2})

    def cost(self, metric: str, architecture: Architecture) -> float:
        return {"params": 7.0}[metric]


def test_the_latency_alone_comes_from_the_table(path: Path) -> None:
    table = read_latency_table(path, SPACE, task=Classification(3), **NETWORK)
    evaluator, architecture = PredictedLatency(Measured(), table), SPACE.complete({})
    predicted = table.predict_ms(architecture)
    found = evaluator(architecture)
    assert found.metrics == {"val_loss": 0.5, "params": 7.0, "latency_ms": predicted}
    assert found.constraints == {"params<=9": -0.2}
    assert evaluator.cost("latency_ms", architecture) == predicted
    assert evaluator.cost("params", architecture) == 7
    source = describe_table(path, table)
    assert re.match(r"table.json, profiled on .+ with 1 threads and batch size 1, 20", source)


def test_what_costs_nothing_may_differ(path: Path) -> None:
    task = Classification(3, ("a", "b", "c"), label_smoothing=0.1)
    assert read_latency_table(path, SPACE, task=task, **NETWORK).predict_ms(SPACE.complete({})) > 0
    assert read_latency_table(path, SPACE, task=Regression(3), **NETWORK).task == Classification(3)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"space": ChainSpace()}, "of search space `chain` but got one of `cell`"),
        ({"space": CellSpace()}, "of a space with decision `edge_0_3`"),
        ({"channels": 4}, "of networks with `channels` 4 but got one of 2"),
        ({"stages": 1}, "of networks with `stages` 1 but got one of None"),
        (
            {"input_shape": (1, 9, 9)},
            r"of networks with `input_shape` \(1, 9, 9\) but got",
        ),
        ({"task": Classification(4)}, "of networks with `head` .*out_features=4.* but got one of"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_tables_that_do_not_fit(path: Path, change: dict[str, Any], sentence: str) -> None:
    arguments = {"space": SPACE, "task": Classification(3), **NETWORK, **change}
    with pytest.raises(ValueError, match=f"argument `latency_table` to be {sentence}"):
        read_latency_table(path, **arguments)


def test_an_unfinished_table(path: Path) -> None:
    table = LatencyTable.load(path)
    entries = dict(list(table.entries.items())[1:])
    part = LatencyTable(table.space, table.distributions, table.network, table.settings, entries)
    part.save(path)
    with pytest.raises(ValueError, match="`latency_table` to be a complete table but 1 entries"):
        read_latency_table(path, SPACE, task=Classification(3), **NETWORK)
