"""Scores with inherited weights: fresh statistics, and a supernet that stays as it is."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules import count_macs
from lightning_modules import count_params
from lightning_modules import TrainingEvaluator
from lightning_modules.data import DigitsDataModule
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import recalibrate
from lightning_modules.supernet import Supernet
from lightning_modules.supernet import SupernetEvaluator
from lightning_modules.supernet._evaluate import batch_statistics
from lightning_modules.supernet._evaluate import measure
from lightning_modules.tasks import Classification
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from tests.lightning_modules.supernet.trained import BUILD
from tests.lightning_modules.supernet.trained import CELL
from tests.lightning_modules.supernet.trained import SHAPE
from tests.lightning_modules.supernet.trained import SIZES
from tests.lightning_modules.supernet.trained import trained_supernet


SPACE = CellSpace(n_nodes=3)


def make(**arguments: Any) -> Supernet:
    """Return a supernet whose weights and statistics are all of their own."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"channels": 4, "cells_per_stage": 1, "stages": 2, **arguments}
    supernet = build_supernet(SPACE, Classification(3), input_shape=(1, 6, 6), **sizes)
    with torch.no_grad():
        for tensor in supernet.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return supernet


def batches(n: int, seed: int, sizes: tuple[int, ...] = (8, 8, 8)) -> list[Any]:
    rng = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(size, 1, 6, 6, generator=rng) + 0.3,
            torch.randint(3, (size,), generator=rng),
        )
        for size in sizes[:n]
    ]


TRAIN, VAL = batches(2, 1), batches(3, 2, (8, 5, 1))
PATHS = [SPACE.sample(np.random.default_rng(i)) for i in range(6)]


def slow_norms(network: nn.Module) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Measure what each normalisation sees in each batch, one batch at a time."""
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def look(name: str, x: Tensor) -> None:
        values = x.transpose(0, 1).flatten(1)
        mean = values.mean(dim=1)
        variance = ((values - mean[:, None]) ** 2).sum(dim=1) / (values.shape[1] - 1)
        seen.setdefault(name, []).append((mean, variance))

    hooks = [
        module.register_forward_pre_hook(lambda _, args, name=name: look(name, args[0]))
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    network.train()
    with torch.no_grad():
        for images, _ in TRAIN:
            network(images)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.fixture(scope="module")
def data() -> DigitsDataModule:
    module = DigitsDataModule()
    module.setup("fit")
    return module


@pytest.fixture
def supernet() -> Supernet:
    torch.manual_seed(0)
    return build_supernet(CellSpace(), Classification(10), **SHAPE, **SIZES)


@pytest.mark.parametrize("architecture", PATHS)
def test_scores_by_a_slow_reference(architecture: Architecture) -> None:
    supernet = make()
    found = SupernetEvaluator(supernet, TRAIN, VAL)(architecture).metrics

    network = supernet.network_of(architecture)
    for name, seen in slow_norms(copy.deepcopy(network)).items():
        norm = network.get_submodule(name)
        norm.running_mean = torch.stack([mean for mean, _ in seen]).mean(dim=0)
        norm.running_var = torch.stack([variance for _, variance in seen]).mean(dim=0)
    network.eval()
    right, loss, n = 0, 0.0, 0
    for images, labels in VAL:
        for image, label in zip(images, labels, strict=True):
            p = torch.softmax(network(image[None]).detach()[0], dim=0)
            right += int(p.argmax() == label)
            loss -= float(torch.log(p[label]))
            n += 1
    assert n == 14
    assert found["val_accuracy"] == pytest.approx(right / 14)
    assert found["val_loss"] == pytest.approx(loss / 14, rel=1e-4)


def test_recalibration_of_images_alone() -> None:
    first, second = (make().network_of(PATHS[0]) for _ in range(2))
    recalibrate(first, TRAIN)
    recalibrate(second, [images for images, _ in TRAIN])
    before = make().network_of(PATHS[0]).state_dict()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])
    assert not torch.equal(
        before["backbone.norm.running_mean"], first.state_dict()["backbone.norm.running_mean"]
    )
    recalibrate(second, TRAIN)  # Nothing of the first time is left.
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(tensor, second.state_dict()[name])


@pytest.mark.parametrize("training", [True, False])
def test_the_supernet_is_unchanged(training: bool) -> None:
    supernet = make(affine=False).train(training)
    evaluator = SupernetEvaluator(supernet, TRAIN, VAL)
    state = copy.deepcopy(supernet.state_dict())
    modes = [module.training for module in supernet.modules()]
    first = [evaluator(architecture).metrics for architecture in PATHS]
    assert [evaluator(architecture).metrics for architecture in PATHS] == first
    assert len({metrics["val_loss"] for metrics in first}) > 3
    assert [module.training for module in supernet.modules()] == modes
    assert all(torch.equal(t, state[name]) for name, t in supernet.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in supernet.parameters())


def test_batches_of_a_data_module() -> None:
    torch.manual_seed(0)
    supernet = build_supernet(
        SPACE, Classification(10), input_shape=(1, 8, 8), channels=4, cells_per_stage=1, stages=1
    )
    data = DigitsDataModule(batch_size=100, eval_batch_size=50)
    data.setup("fit")
    evaluator = SupernetEvaluator.from_data(supernet, data, train_samples=250, val_samples=60)
    assert [len(labels) for _, labels in evaluator.train_batches] == [100, 100, 50]
    assert [len(labels) for _, labels in evaluator.val_batches] == [50, 10]
    whole = SupernetEvaluator.from_data(supernet, data, val_samples=10**6)
    assert sum(len(labels) for _, labels in whole.val_batches) == 359


@pytest.mark.parametrize("name", ["train_batches", "val_batches"])
def test_no_batches(name: str) -> None:
    given = {"train_batches": TRAIN, "val_batches": VAL, name: []}
    with pytest.raises(ValueError, match=f"^Expected argument `{name}` to have batches"):
        SupernetEvaluator(make(), **given)


def test_no_member() -> None:
    evaluator = SupernetEvaluator(make(), TRAIN, VAL)
    with pytest.raises(ValueError, match="edge_0_1"):
        evaluator(Architecture("cell", {**PATHS[0], "edge_0_1": "conv_7x7"}))


@pytest.mark.parametrize("training", [True, False])
def test_batch_statistics_are_used_and_left_behind(training: bool) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.BatchNorm2d(2)).train(
        training
    )
    network[2].train(not training)
    network[2].track_running_stats = False
    state, images = copy.deepcopy(network.state_dict()), TRAIN[0][0]
    with batch_statistics(network):
        values = network(images)
        assert values.mean(dim=(0, 2, 3)).abs().max() < 1e-5
        assert (values.var(dim=(0, 2, 3), unbiased=False) - 1).abs().max() < 1e-3
    assert [m.training for m in network] == [training, training, not training]
    assert [m.track_running_stats for m in network[1:]] == [True, False]
    assert all(torch.equal(t, state[name]) for name, t in network.state_dict().items())


def test_batch_statistics_are_put_back_after_an_error() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1)).eval()
    with pytest.raises(InterruptedError), batch_statistics(network):
        raise InterruptedError
    assert not network[0].training
    assert network[0].track_running_stats


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


# Inputs that are no single tensor.


class TwoInputs(nn.Module):
    """A network of a dict of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.BatchNorm1d(3)
        self.embedding = nn.Embedding(5, 2)
        self.head = nn.Linear(5, 3)

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        parts = [self.norm(x["numbers"]), self.embedding(x["words"])]
        logits: Tensor = self.head(torch.cat(parts, dim=1))
        return logits


def dict_batches(sizes: tuple[int, ...]) -> list[Any]:
    rng = torch.Generator().manual_seed(3)
    return [
        [
            {
                "numbers": torch.randn(n, 3, generator=rng) + 5,
                "words": torch.randint(5, (n,), generator=rng),
            },
            torch.randint(3, (n,), generator=rng),
        ]
        for n in sizes
    ]


def test_recalibration_and_measures_of_inputs_in_a_dict() -> None:
    network, batches = TwoInputs(), dict_batches((8, 8, 5))
    recalibrate(network, batches)
    means = torch.stack([inputs["numbers"].mean(dim=0) for inputs, _ in batches])
    torch.testing.assert_close(network.norm.running_mean, means.mean(dim=0))
    recalibrated = copy.deepcopy(network.state_dict())
    recalibrate(network, [inputs for inputs, _ in batches])
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, recalibrated[name])

    found = measure(Classification(3), network.eval(), batches)
    with torch.no_grad():
        logits = torch.cat([network(inputs) for inputs, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    loss = nn.functional.cross_entropy(logits, labels)
    accuracy = (logits.argmax(dim=1) == labels).float().mean()
    assert list(found) == ["val_accuracy", "val_loss"]
    assert found == pytest.approx({"val_accuracy": float(accuracy), "val_loss": float(loss)})
    found = measure(Classification(3), network.eval(), batches, ["val_f1"])
    assert list(found) == ["val_accuracy", "val_f1", "val_loss"]


def test_costs_of_inputs_in_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    supernet = make()
    network = TwoInputs()
    monkeypatch.setattr(supernet, "network_of", lambda architecture: network)
    monkeypatch.setattr(supernet, "build", lambda architecture: TwoInputs())
    batches = dict_batches((8, 8))
    evaluator = SupernetEvaluator(supernet, batches, batches, metrics=["params", "macs"])
    assert evaluator(PATHS[0]).metrics == {"params": 34, "macs": 15}
    assert evaluator.cost("macs", PATHS[0]) == 15
