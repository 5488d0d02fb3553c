"""Inherited weights in the two evaluators: trained further, and only scored."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_modules import build_cell_backbone
from lightning_modules import count_macs
from lightning_modules import count_params
from lightning_modules import TrainingEvaluator
from lightning_modules.data import DigitsDataModule
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Supernet
from lightning_modules.supernet import SupernetEvaluator
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace
from optuna_nas import ChainSpace


SPACE = CellSpace()
SIZES: dict[str, Any] = {"channels": 4, "cells_per_stage": 1, "stages": 1}
SHAPE: dict[str, Any] = {"input_shape": (1, 8, 8)}
BUILD = functools.partial(build_cell_backbone, **SHAPE, **SIZES)
CELL = SPACE.from_string(
    "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
)


@pytest.fixture(scope="module")
def data() -> DigitsDataModule:
    module = DigitsDataModule()
    module.setup("fit")
    return module


@pytest.fixture
def supernet() -> Supernet:
    torch.manual_seed(0)
    return build_supernet(SPACE, Classification(10), **SHAPE, **SIZES)


def train(network: nn.Module, data: DigitsDataModule) -> None:
    """Train a network for ten epochs, in a few lines."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(10):
        for images, labels in data.train_dataloader():
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()


def trained_supernet(data: DigitsDataModule) -> Supernet:
    """A supernet in which the path of one cell has been trained."""
    torch.manual_seed(0)
    supernet = build_supernet(SPACE, Classification(10), **SHAPE, **SIZES)
    path = supernet.path(CELL)

    class Path(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.supernet = supernet

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.supernet(images, path)
            return logits

    train(Path().train(), data)
    return supernet


def test_trial_starts_from_the_weights_of_the_supernet(data: DigitsDataModule) -> None:
    supernet = trained_supernet(data)
    # So small a learning rate changes nothing: what is measured are the inherited weights.
    arguments: dict[str, Any] = {"learning_rate": 1e-12, "metrics": ("val_accuracy", "params")}
    inherited = TrainingEvaluator(BUILD, data, inherit_weights=supernet, **arguments)(CELL)
    scratch = TrainingEvaluator(BUILD, data, **arguments)(CELL)
    assert scratch.metrics["val_accuracy"] < 0.4
    assert inherited.metrics["val_accuracy"] > scratch.metrics["val_accuracy"] + 0.3
    assert inherited.metrics["params"] == scratch.metrics["params"]


def test_supernet_is_not_trained_by_a_trial(data: DigitsDataModule, supernet: Supernet) -> None:
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    evaluator = TrainingEvaluator(BUILD, data, inherit_weights=supernet)
    first, second = evaluator(CELL), evaluator(CELL)
    assert first == second
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_supernet_of_another_space(data: DigitsDataModule) -> None:
    supernet = build_supernet(ChainSpace(), Classification(10), **SHAPE)
    evaluator = TrainingEvaluator(BUILD, data, inherit_weights=supernet)
    with pytest.raises(ValueError, match="of search space `cell` but got one of `chain`"):
        evaluator(CELL)


def test_supernet_of_another_size(data: DigitsDataModule) -> None:
    supernet = build_supernet(SPACE, Classification(10), **SHAPE, **{**SIZES, "channels": 8})
    evaluator = TrainingEvaluator(BUILD, data, inherit_weights=supernet)
    with pytest.raises(ValueError, match="Expected the supernet to hold a weight"):
        evaluator(CELL)


def test_score_is_that_of_the_recalibrated_path(data: DigitsDataModule) -> None:
    supernet = trained_supernet(data)
    evaluator = SupernetEvaluator.from_data(
        supernet, data, metrics=("params", "val_accuracy", "macs")
    )
    measured = evaluator(CELL)
    assert list(measured.metrics) == ["params", "val_accuracy", "macs"]
    network = supernet.network_of(CELL)
    assert measured.metrics["params"] == count_params(network)
    assert measured.metrics["macs"] == count_macs(network, (1, 8, 8))
    # The statistics by hand: the mean of those of each batch.
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for images, _ in evaluator.train_batches:
            network.train()(images)
        right = [
            (network.eval()(images).argmax(dim=1) == labels).float()
            for images, labels in evaluator.val_batches
        ]
    expected = float(torch.cat(right).mean())
    assert measured.metrics["val_accuracy"] == pytest.approx(expected, abs=1e-6)
    assert expected > 0.5


def test_costs_are_shared_with_a_training_evaluator(
    data: DigitsDataModule, supernet: Supernet
) -> None:
    training = TrainingEvaluator(BUILD, data, metrics=("latency_ms",))
    evaluator = SupernetEvaluator.from_data(
        supernet, data, metrics=("val_accuracy", "latency_ms"), costs=training.costs
    )
    latency = training.cost("latency_ms", CELL)
    assert evaluator(CELL).metrics["latency_ms"] == latency
    assert evaluator.cost("params", CELL) == training.cost("params", CELL)


def test_evaluator_refuses(data: DigitsDataModule, supernet: Supernet) -> None:
    with pytest.raises(ValueError, match="`metrics` to be names of .* but got \\['top5'\\]"):
        SupernetEvaluator.from_data(supernet, data, metrics=["top5"])
    with pytest.raises(ValueError, match="`train_batches` to have batches but got none"):
        SupernetEvaluator(supernet, [], [])
    evaluator = SupernetEvaluator.from_data(supernet, data)
    with pytest.raises(ValueError, match="`metric` to be one of .* but got 'val_accuracy'"):
        evaluator.cost("val_accuracy", CELL)
    chain = ChainSpace().sample(np.random.default_rng(0))
    with pytest.raises(ValueError, match="of search space `cell` but got"):
        evaluator(chain)
