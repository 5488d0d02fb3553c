"""What follows from a task, and tasks by name and in plain types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
from typing import Any
from typing import Self

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor
import torchmetrics

from lightning_modules import Backbone
from lightning_modules import build_chain_backbone
from lightning_modules import Classification
from lightning_modules import Network
from lightning_modules import Regression
from lightning_modules import Task
from lightning_modules.data import DigitsDataModule
from lightning_modules.tasks import BuildWithHead
from lightning_modules.tasks import make_task
from lightning_modules.tasks import task_class
from lightning_modules.tasks import task_from_dict
from lightning_modules.tasks import task_to_dict
from lightning_modules.tasks import TASKS
from optuna_nas import Architecture
from optuna_nas import ChainSpace
from optuna_nas.metrics import Metric
from optuna_nas.metrics import METRICS


CHAIN = ChainSpace().from_string("C-S")


@dataclass(frozen=True)
class Ranking(Task):
    """The least that a task can be."""

    margins: tuple[float, ...] = (1.0, 2.0)

    metrics = (Metric("kendall_in_this_test", "maximize", "Kendall's tau"),)

    @classmethod
    def from_data(cls, datamodule: pl.LightningDataModule, **settings: Any) -> Self:
        return cls(**settings)

    def head(self, backbone: Backbone) -> nn.Module:
        return nn.Linear(backbone.n_features, 1)

    def loss(self, output: Any, target: Any) -> Tensor:
        loss: Tensor = (output - target).abs().mean()
        return loss

    def make_metrics(self) -> Mapping[str, torchmetrics.Metric]:
        return {"kendall_in_this_test": torchmetrics.MeanMetric()}

    def predict(self, output: Any) -> Any:
        return output


class Unmeasured(Ranking):
    """It has nothing but its loss."""

    metrics = ()


@dataclass(frozen=True)
class Maps(Ranking):
    """Its head reads the feature maps."""

    reads_maps = True

    def head(self, backbone: Backbone) -> nn.Module:
        class Sizes(nn.Module):
            def forward(self, maps: list[Tensor]) -> Tensor:
                return torch.stack([m.mean((1, 2, 3)) for m in maps], dim=1)

        return Sizes()


def build(architecture: Architecture) -> nn.Module:
    return build_chain_backbone(architecture, input_shape=(1, 8, 8))


def test_defaults() -> None:
    task = Ranking()
    assert task.training_loss(torch.tensor([3.0]), torch.tensor([1.0])) == 2
    assert task.describe(torch.tensor([1.0, 2.5])) == {"prediction": "[1.0, 2.5]"}
    assert task.output_shape is None
    assert task.guess_loss is None
    images, target = torch.arange(4.0), torch.arange(4)
    found = task.augment(images, target, lambda x: 2 * x)
    assert torch.equal(found[0], 2 * images)
    assert found[1] is target


def test_metrics_are_in_the_table() -> None:
    assert METRICS.get("val_kendall_in_this_test").heading == "validation Kendall's tau"
    assert Ranking.primary() == "val_kendall_in_this_test"
    names = ("val_kendall_in_this_test", "val_loss", "train_loss")
    assert Ranking.trained_metrics() == names
    for task in (Classification, Regression):
        for metric in task.metrics:
            assert METRICS.find(metric.name) == metric
            assert METRICS.find(f"val_{metric.name}") is not None
            assert METRICS.find(f"test_{metric.name}") is not None


def test_a_task_without_metrics_is_scored_by_its_loss() -> None:
    assert Unmeasured.primary() == "val_loss"
    assert Unmeasured.trained_metrics() == ("val_loss", "train_loss")
    assert Unmeasured().score(torch.tensor([3.0]), torch.tensor([1.0])) == -2


def test_a_backbone_gets_a_head() -> None:
    network = Ranking().network(build(CHAIN))
    assert isinstance(network, Network)
    assert network(torch.zeros(3, 1, 8, 8)).shape == (3, 1)
    assert Ranking().network(network) is network
    maps = Maps().network(build(CHAIN))
    assert isinstance(maps, Network)
    n_maps = len(maps.backbone.maps)
    assert n_maps > 0
    assert maps(torch.zeros(3, 1, 8, 8)).shape == (3, n_maps)


def test_a_builder_adds_the_head_once() -> None:
    task = Ranking()
    builder = task.builder(build)
    assert builder == BuildWithHead(build, task)
    assert task.builder(builder) is builder
    assert builder(CHAIN)(torch.zeros(3, 1, 8, 8)).shape == (3, 1)


def test_a_task_of_ones_own_trains() -> None:
    from lightning_modules.training import TaskModule

    module = TaskModule(build(CHAIN), Ranking())
    loss = module.training_step((torch.zeros(2, 1, 8, 8), torch.zeros(2, 1)), 0)
    loss.backward()
    assert module.hparams["task"] == {"name": "Ranking", "arguments": {"margins": [1.0, 2.0]}}


# By name, for data.


def test_the_data_says_the_task() -> None:
    digits = DigitsDataModule()
    assert make_task(None, digits) == Classification(10, tuple("0123456789"))
    data: Any = pl.LightningDataModule()
    data.task, data.n_targets = "regression", 2
    assert task_class(None, data) is Regression
    assert make_task(None, data) == Regression(2)
    data.task, data.num_classes = None, 3  # A task of another kind is of no concern here.
    assert make_task(None, data) == Classification(3)


def test_the_user_says_the_task() -> None:
    digits = DigitsDataModule()
    task = Classification(3)
    assert make_task(task, digits) is task
    assert task_class(task, digits) is Classification
    smooth = make_task("classification", digits, label_smoothing=0.1)
    assert smooth == Classification(10, tuple("0123456789"), 0.1)
    assert make_task(Ranking, digits, margins=(3.0,)) == Ranking((3.0,))
    assert make_task(f"{__name__}:Ranking", digits) == Ranking()


def test_unknown_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    names = "classification, regression"
    with pytest.raises(ValueError, match=f"`task` to be one of {names}.* but got 'sorting'"):
        make_task("sorting", DigitsDataModule())
    with pytest.raises(ValueError, match=r"`task` .* to name a class of tasks but got .*tensor"):
        make_task("torch:tensor", DigitsDataModule())


def test_names() -> None:
    assert {"classification", "regression"} <= set(TASKS)
    assert TASKS.get("classification") is Classification
    assert TASKS.get("regression") is Regression


# In plain types.


@pytest.mark.parametrize(
    "task",
    [
        Classification(3),
        Classification(2, ("a", "ä"), 0.1),
        Regression(),
        Regression(2, (1.0, -2.5), (1e-9, 1e9)),
    ],
)
def test_plain_types_and_back(task: Task) -> None:
    plain = task_to_dict(task)
    assert task_from_dict(plain) == task
    assert task_from_dict(json.loads(json.dumps(plain))) == task
    assert plain["name"] == type(task).__name__.lower()


def test_a_task_without_a_name_has_to_be_given() -> None:
    plain = task_to_dict(Ranking((3.0,)))
    assert plain == {"name": "Ranking", "arguments": {"margins": [3.0]}}
    assert task_from_dict(plain, Ranking) == Ranking((3.0,))
    with pytest.raises(ValueError, match="the task Ranking to be one of .* or to be given"):
        task_from_dict(plain)


def test_a_file_does_not_choose_the_code() -> None:
    plain = {"name": f"{__name__}:Ranking", "arguments": {}}
    with pytest.raises(ValueError, match="or to be given, as nothing that a file names"):
        task_from_dict(plain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"number": 3}, "task classification to have fields of its own but got .*number"),
        ({}, "task classification to have fields of its own but got"),
        ({"num_classes": 0}, "`num_classes` to be at least 2 but got 0"),
    ],
)
def test_descriptions_that_do_not_fit(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task_from_dict({"name": "classification", "arguments": arguments})
