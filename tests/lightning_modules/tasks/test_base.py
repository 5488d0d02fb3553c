"""What all tasks share: heads, scores, names, descriptions, and the choice of one for the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor
import torchmetrics

from lightning_modules import Backbone
from lightning_modules import Classification
from lightning_modules import FeatureMap
from lightning_modules import FeatureVector
from lightning_modules import Network
from lightning_modules import Regression
from lightning_modules import Task
from lightning_modules.data import DigitsDataModule
from lightning_modules.registries import TASKS
from lightning_modules.tasks import BuildWithHead
from lightning_modules.tasks import DEFAULT_TASK
from lightning_modules.tasks import make_task
from lightning_modules.tasks import task_class
from lightning_modules.tasks import task_from_dict
from lightning_modules.tasks import task_to_dict
from optuna_nas import Architecture
from optuna_nas import ChainSpace
from optuna_nas.metrics import Metric
from optuna_nas.metrics import METRICS


class Miss(torchmetrics.MeanMetric):
    """The mean distance of an output's keypoints from those of the target."""

    def update(self, output: Any, target: Any) -> None:
        super().update((output["points"] - target["points"]).norm(dim=-1))


@dataclass(frozen=True)
class Keypoints(Task):
    """A task of one's own: outputs and targets are dicts, the head reads the feature maps."""

    anchors: tuple[tuple[int, int], ...] = ((0, 0),)
    weights: tuple[float, ...] = ()

    metrics = (Metric("miss", "minimize", "distance", "{:.1f}", "pixels"),)
    reads_maps = True

    @classmethod
    def from_data(cls, datamodule: pl.LightningDataModule, **settings: Any) -> Keypoints:
        return cls(**settings)

    def head(self, backbone: Backbone) -> nn.Module:
        return Points(backbone.maps[-1].channels)

    def loss(self, output: Any, target: Any) -> Tensor:
        return nn.functional.mse_loss(output["points"], target["points"])

    def make_metrics(self) -> Mapping[str, torchmetrics.Metric]:
        return {"miss": Miss()}

    def predict(self, output: Any) -> Any:
        return output["points"]


class Points(nn.Module):
    """Reads the coarsest map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, 2, 1)

    def forward(self, maps: list[Tensor]) -> dict[str, Tensor]:
        return {"points": self.layer(maps[-1]).mean((2, 3))}


class Maps(Backbone):
    """Two maps of an image."""

    n_features = 6
    maps = (FeatureMap(4, 1), FeatureMap(6, 2))

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 6, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.feature_maps(x)[-1].mean((2, 3))

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        fine = self.fine(x)
        return [fine, self.coarse(fine)]


class Plain(pl.LightningDataModule):
    """Data that tells nothing."""


def with_facts(**facts: Any) -> pl.LightningDataModule:
    data = Plain()
    for name, value in facts.items():
        setattr(data, name, value)
    return data


# Networks.


def test_a_backbone_gets_a_head_and_a_network_does_not() -> None:
    network = Classification(3).network(Maps())
    assert isinstance(network, Network)
    assert network(torch.zeros(2, 1, 4, 4)).shape == (2, 3)
    assert not network.reads_maps
    whole = nn.Linear(2, 3)
    assert Classification(3).network(whole) is whole


def test_a_head_may_read_the_maps() -> None:
    network = Keypoints().network(Maps())
    assert network(torch.zeros(2, 1, 4, 4))["points"].shape == (2, 2)
    with pytest.raises(NotImplementedError, match="FeatureVector has no feature maps"):
        Network(FeatureVector(3), nn.Identity(), reads_maps=True)(torch.zeros(1, 3))


def test_builder_adds_the_head_once() -> None:
    def build(architecture: Architecture) -> nn.Module:
        return FeatureVector(5)

    task = Classification(3)
    builder = task.builder(build)
    assert isinstance(builder, BuildWithHead)
    assert task.builder(builder) is builder
    one, other = (builder(ChainSpace().architecture_at(0)) for _ in range(2))
    assert one(torch.zeros(1, 5)).shape == (1, 3)
    weights = [network.head.weight for network in (one, other)]  # type: ignore[union-attr]
    assert not torch.equal(*weights)  # type: ignore[arg-type]


# Metrics.


def test_names_of_what_is_logged() -> None:
    assert Keypoints.primary() == "val_miss"
    assert Keypoints.trained_metrics() == ("val_miss", "val_loss", "train_loss")
    assert Regression.trained_metrics()[:3] == ("val_rmse", "val_mae", "val_r2")


def test_metrics_are_in_the_table() -> None:
    metric = METRICS.get("val_miss")
    assert (metric.direction, metric.heading) == ("minimize", "validation distance (pixels)")
    for task in (Classification, Regression):
        for own in task.metrics:
            assert METRICS.get(own.name) == own


def test_score_is_larger_for_what_is_better() -> None:
    target = {"points": torch.tensor([[0.0, 0.0], [3.0, 4.0]])}
    score = Keypoints().score({"points": torch.zeros(2, 2)}, target)
    assert score.item() == -2.5


def test_score_without_metrics_is_the_loss() -> None:
    class Bare(Keypoints):
        metrics = ()

    assert Bare.primary() == "val_loss"
    points = {"points": torch.ones(2, 2)}
    assert Bare().score(points, {"points": torch.zeros(2, 2)}).item() == -1.0


def test_defaults() -> None:
    task, images, targets = Keypoints(), torch.rand(2, 1, 3, 3), torch.rand(2, 2)
    assert task.output_shape is None
    assert task.guess_loss is None
    assert task.describe(torch.tensor([1.5, 2.0])) == {"prediction": "[1.5, 2.0]"}
    assert task.describe(3) == {"prediction": "3"}
    moved, kept = task.augment(images, targets, lambda pixels: pixels.flip(-1))
    assert torch.equal(moved, images.flip(-1))
    assert kept is targets
    points = ({"points": torch.ones(2, 2)}, {"points": torch.zeros(2, 2)})
    assert task.training_loss(*points) == task.loss(*points) == 1


# In plain types.


@pytest.mark.parametrize(
    "task",
    [
        Classification(2),
        Classification(3, ("a", "b", "c"), 0.1),
        Regression(),
        Regression(2, (1.0, -2.5), (3.0, 1e-3)),
        Keypoints(((1, 2), (3, 4)), (0.5,)),
    ],
)
def test_to_json_and_back(task: Task) -> None:
    description = json.loads(json.dumps(task_to_dict(task)))
    assert description == task_to_dict(task)  # Lists all through.
    own = Keypoints if isinstance(task, Keypoints) else None
    assert task_from_dict(description, own) == task
    assert hash(task_from_dict(description, own)) == hash(task)


def test_names_in_descriptions() -> None:
    assert task_to_dict(Classification(2))["name"] == "classification"
    assert task_to_dict(Regression())["name"] == "regression"
    assert task_to_dict(Keypoints())["name"] == "Keypoints"
    with pytest.raises(
        ValueError, match="task Keypoints to be one of classification, regression or to be given"
    ):
        task_from_dict(task_to_dict(Keypoints()))


def test_nothing_that_a_file_names_is_imported() -> None:
    description = {"name": "no_such_module:Task", "arguments": {}}
    with pytest.raises(ValueError, match="nothing that a file names is imported unasked"):
        task_from_dict(description)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "a task to have a name and arguments but got {}"),
        ({"name": "regression"}, "a name and arguments but got"),
        ({"name": 3, "arguments": {}}, "a name and arguments but got"),
        ({"name": "regression", "arguments": [1]}, "a name and arguments but got"),
        (
            {"name": "regression", "arguments": {"color": 1}},
            r"regression to have the fields {'color': 1} but got: .*'color'",
        ),
        ({"name": "classification", "arguments": {}}, "but got: .*'num_classes'"),
        ({"name": "regression", "arguments": {"n_outputs": 0}}, "`n_outputs` to be at least 1"),
        (
            {"name": "classification", "arguments": {"num_classes": 2, "label_smoothing": "a"}},
            "classification to have the fields .* but got",
        ),
    ],
)
def test_damaged_descriptions(description: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"Expected .*{message}"):
        task_from_dict(description)


# For a data module.


def test_the_data_tells_the_task() -> None:
    assert DEFAULT_TASK == "classification"
    assert make_task(None, with_facts(num_classes=4)) == Classification(4)
    values = with_facts(task="regression", n_targets=2, target_mean=[1, 2], target_std=[3, 4])
    assert make_task(None, values) == Regression(2, (1.0, 2.0), (3.0, 4.0))
    assert task_class(None, values) is Regression
    assert make_task(None, with_facts(task=7, num_classes=2)) == Classification(2)


def test_the_task_may_be_named_or_made() -> None:
    digits = DigitsDataModule()
    named = make_task("classification", digits, label_smoothing=0.1)
    assert named == Classification(10, tuple("0123456789"), 0.1)
    assert make_task(Classification, digits) == make_task(None, digits)
    task = Classification(3)
    assert make_task(task, Plain()) is task
    assert task_class(task, Plain()) is task_class("classification", Plain()) is Classification
    assert make_task(f"{__name__}:Keypoints", Plain(), weights=(1.0,)).weights == (1.0,)  # type: ignore[attr-defined]


def test_errors() -> None:
    with pytest.raises(ValueError, match="`task` to be one of classification, regression, MOD"):
        make_task("sorting", Plain())
    with pytest.raises(ValueError, match="`task` to be a task, .* a name but got <class"):
        make_task(nn.Linear, Plain())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`task` lightning_modules:Network to name a class of ta"):
        make_task("lightning_modules:Network", Plain())
    with pytest.raises(ValueError, match="no settings beside a task .* but got {'num_classes'"):
        make_task(Classification(2), Plain(), num_classes=3)


def test_tasks_are_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Task()  # type: ignore[abstract]
    assert list(TASKS)[:2] == ["classification", "regression"]
