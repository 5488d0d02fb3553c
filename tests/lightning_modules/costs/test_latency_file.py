"""Latency tables: the file, and what no table can be made of."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import pickle
from typing import Any

import numpy as np
import pytest
from torch import nn

from lightning_modules import as_kit
from lightning_modules import Backbone
from lightning_modules import Classification
from lightning_modules import Kit
from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules import profile_latency
from lightning_modules import Regression
from lightning_modules.costs import latency_profile
from lightning_modules.tasks import task_to_dict
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.spaces import MobileStage


SHAPE = (1, 9, 10)
TASK = Classification(3)
SPACES: dict[str, SearchSpace] = {
    "mobile": MobileSpace(
        [MobileStage(depths=(1, 2), widths=(8,))], depth_coefficients=(1.0, 2.0)
    ),
    "cell": CellSpace(n_nodes=3),
    "chain": ChainSpace(max_depth=2),
    "darts": DartsSpace(n_nodes=1),
}


def table(space: SearchSpace) -> LatencyTable:
    """Return a table of latencies that come from the names of the operations."""
    empty = LatencyTable(
        space.name,
        space.distributions,
        {"input_shape": SHAPE, "task": TASK},
        latency_profile.describe_device("cpu"),
    )
    for _, name in empty.operations:
        empty.record(name, Latency(len(name) / 7, len(name) / 100))
    return empty


@pytest.mark.parametrize("name", list(SPACES))
def test_file_and_pickle_keep_everything(name: str, tmp_path: Path) -> None:
    space, measured = SPACES[name], table(SPACES[name])
    measured.save(tmp_path / "new" / "table.json")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["table.json"]
    for copy in (
        LatencyTable.load(tmp_path / "new" / "table.json"),
        pickle.loads(pickle.dumps(measured)),
    ):
        assert copy.entries == measured.entries
        assert copy.settings == measured.settings
        assert copy.network == {"input_shape": SHAPE, "task": task_to_dict(TASK)}
        assert copy.task == TASK
        architecture = space.sample(np.random.default_rng(1))
        assert copy.predict_ms(architecture) == measured.predict_ms(architecture)
    assert {"device", "device_name", "torch", "python", "date"} == set(measured.settings)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda document: "{", "cannot be read"),
        (lambda document: "[1]", "got another kind of file"),
        (lambda document: json.dumps(document | {"latency_table": 99}), "of version 2 but"),
        (lambda document: json.dumps(document | {"space": "other"}), "damaged .*'other'"),
        (lambda document: json.dumps(document | {"network": {}}), "damaged"),
        (lambda document: json.dumps(document | {"decisions": {}}), "damaged"),
        (lambda document: json.dumps(document | {"settings": 3}), "damaged"),
        (lambda document: json.dumps(document | {"latencies": {"stem": 3}}), "damaged"),
        (
            lambda document: json.dumps(
                document | {"latencies": {"stem": {"a": {"median_ms": -1, "iqr_ms": 0}}}}
            ),
            "damaged .*`a` at `stem` has no finite latency",
        ),
    ],
)
def test_damaged_files(
    change: Callable[[Any], str],
    sentence: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "table.json"
    table(SPACES["cell"]).save(path)
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(ValueError, match=sentence) as caught:
        LatencyTable.load(path)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing.json to be a latency table but it cannot be"):
        LatencyTable.load(tmp_path / "nothing.json")


class OwnTask(Regression):
    """A task without a name."""

    def head(self, backbone: Backbone) -> nn.Module:
        return nn.Linear(backbone.n_features, 7)


class MapTask(Regression):
    """A task whose head reads feature maps."""

    reads_maps = True


def test_a_kit_and_a_task_without_names(tmp_path: Path) -> None:
    chain = as_kit("chain")
    kit = Kit(Chains, chain.backbone, latency_terms=chain.latency_terms)
    network = {"input_shape": SHAPE, "task": OwnTask()}
    table = LatencyTable("chains", Chains().distributions, network, {}, kit=kit)
    for _, name in table.operations:
        table.record(name, Latency(1.0, 0.0))
    table.save(tmp_path / "table.json")
    copies = [
        LatencyTable.load(tmp_path / "table.json", kit=kit, task=OwnTask),
        pickle.loads(pickle.dumps(table)),
    ]
    for copy in copies:
        assert copy.task == OwnTask()
        assert copy.entries == table.entries
    with pytest.raises(ValueError, match="got 'chains'"):
        LatencyTable.load(tmp_path / "table.json", task=OwnTask)
    with pytest.raises(ValueError, match="nothing that a file names is imported unasked"):
        LatencyTable.load(tmp_path / "table.json", kit=kit)


class Chains(ChainSpace):
    """Chains under another name."""

    name = "chains"

    def __init__(self) -> None:
        super().__init__(max_depth=1)


# What cannot be profiled.


def test_spaces_and_arguments_without_a_table() -> None:
    other = CustomSpace({"x": CellSpace().distributions["edge_0_1"]})
    with pytest.raises(ValueError, match=r"`space` to be of cell, .* but got one of 'custom'"):
        profile_latency(other, input_shape=SHAPE, task=TASK)
    with pytest.raises(ValueError, match=r"of \['cell', .*\] but got 'os:getcwd'"):
        LatencyTable("os:getcwd", {}, {"input_shape": SHAPE, "task": TASK}, {})
    with pytest.raises(ValueError, match=r"operations of \['none', .*\] but got \['magic'\]"):
        profile_latency(CellSpace(operations=("magic",)), input_shape=SHAPE, task=TASK)
    with pytest.raises(ValueError, match="unexpected keyword argument 'colour'"):
        profile_latency(CellSpace(), input_shape=SHAPE, task=TASK, colour=1)
    with pytest.raises(ValueError, match="`space` to have a kit with latency terms but got"):
        profile_latency(Kit(CellSpace, as_kit("cell").backbone), input_shape=SHAPE, task=TASK)
    with pytest.raises(ValueError, match="`task` to have a head that reads the feature vector"):
        profile_latency(CellSpace(), input_shape=SHAPE, task=MapTask())


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("input_shape", (1, 2)),
        ("threads", 0),
        ("batch_size", 0),
        ("rounds", 0),
        ("min_run_time", 0.0),
        ("device", "abacus"),
    ],
)
@pytest.mark.parametrize("name", ["mobile", "cell", "chain", "darts"])
def test_arguments_out_of_range(name: str, argument: str, value: Any) -> None:
    arguments: dict[str, Any] = {"input_shape": SHAPE, "task": TASK, argument: value}
    with pytest.raises(ValueError, match=f"`{argument}` to be .* but got"):
        profile_latency(SPACES[name], **arguments)
