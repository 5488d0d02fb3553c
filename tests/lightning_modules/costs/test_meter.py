"""Cost metrics of architectures: counted without a network, and as constraints."""

from __future__ import annotations

from functools import partial
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState
import pytest
import torch
from torch import nn

from lightning_modules import cost_names
from lightning_modules import CostMeter
from lightning_modules import TrainingEvaluator
from lightning_modules.costs import meter as costs
from lightning_modules.data import DigitsDataModule
from lightning_modules.inputs import Inputs
from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import Constraint
from optuna_nas import CustomSpace
from optuna_nas import GeneticSampler
from optuna_nas.metrics import Metric
from optuna_nas.metrics import METRICS
from optuna_nas.metrics import MetricTable


SPACE = CustomSpace({"width": CategoricalDistribution((4, 16, 10**7))})


class Builder:
    """Makes a network with one hidden layer, and remembers on which devices."""

    def __init__(self) -> None:
        self.devices: list[str] = []

    def __call__(self, architecture: Architecture) -> nn.Module:
        self.devices.append(torch.get_default_device().type)
        width = int(architecture["width"])
        assert width < 1000 or self.devices[-1] == "meta"  # 2.5 GB with the gradients.
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, 10))


def make(build: Any, **arguments: Any) -> TrainingEvaluator:
    return TrainingEvaluator(build, DigitsDataModule(seed=0), accelerator="cpu", **arguments)


def of_width(width: int) -> Architecture:
    return SPACE.architecture({"width": width})


def test_counted_without_allocating() -> None:
    build = Builder()
    evaluator = make(build)
    width = 10**7
    assert evaluator.cost("params", of_width(width)) == 64 * width + width + 10 * width + 10
    assert evaluator.cost("macs", of_width(width)) == 64 * width + 10 * width
    kept = 96 * (64 + width)
    expected = 4 * (4 * (75 * width + 10) + kept) / 1e6
    assert evaluator.cost("training_memory_mb", of_width(width)) == pytest.approx(expected)
    assert set(build.devices) == {"meta"}
    n_built = len(build.devices)
    for metric in cost_names("counted"):
        evaluator.cost(metric, of_width(width))
    assert len(build.devices) == n_built  # Each is counted once.


def test_what_computes_is_built_for_real() -> None:
    def build(architecture: Architecture) -> nn.Module:
        network = nn.Linear(64, int(architecture["width"]))
        assert float(network.weight.detach().abs().sum()) > 0  # Impossible on the meta device.
        return network

    assert make(build).cost("params", of_width(4)) == 65 * 4


def test_evaluation_has_the_value_that_the_constraint_had() -> None:
    evaluator = make(Builder(), metrics=["latency_ms", "peak_memory_mb", "params"])
    checked = evaluator.cost("latency_ms", of_width(16))
    assert evaluator.cost("latency_ms", of_width(16)) == checked
    metrics = evaluator(of_width(16)).metrics
    assert list(metrics) == ["latency_ms", "peak_memory_mb", "params"]
    assert metrics["latency_ms"] == checked
    weights = 65 * 16 + 17 * 10
    assert metrics["peak_memory_mb"] == pytest.approx(4 * (weights + 64 + 16 + 10) / 1e6)
    assert evaluator(of_width(16)).metrics["latency_ms"] != checked  # Measured anew.


def test_what_does_not_fit_is_infeasible_and_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lightning_modules.training.evaluator.device_memory_mb",
        lambda device: 1000.0 + len(str(device)),
    )
    build = Builder()
    evaluator = make(build, metrics=["params"])
    constraint = evaluator.memory_constraint()
    assert str(constraint) == "training_memory_mb<=1003"
    study = optuna.create_study(sampler=optuna.samplers.GridSampler({"width": [4, 10**7]}))
    objective = ArchitectureObjective(
        SPACE, evaluator, objectives=["params"], constraints=[constraint]
    )
    study.optimize(objective, n_trials=2)
    states = {trial.params["width"]: trial.state for trial in study.trials}
    assert states == {4: TrialState.COMPLETE, 10**7: TrialState.PRUNED}
    assert study.best_params == {"width": 4}


def test_network_that_cannot_run_on_the_meta_device_counts_as_fitting() -> None:
    class Gated(nn.Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images if images.sum() > 0 else -images)

    evaluator = make(lambda architecture: nn.Sequential(nn.Flatten(), Gated(64, 10)))
    constraint = evaluator.memory_constraint()
    assert constraint.violation(constraint.value_of(of_width(4))) == -1
    with pytest.raises(RuntimeError):
        evaluator.cost("training_memory_mb", of_width(4))
    assert evaluator(of_width(4)).metrics["val_accuracy"] > 0


def test_samplers_keep_counted_bounds() -> None:
    evaluator = make(Builder(), metrics=["params"])
    small = Constraint("params", upper=1000, function=partial(evaluator.cost, "params"))
    space = CustomSpace({"width": CategoricalDistribution(range(1, 101))})
    study = optuna.create_study(sampler=GeneticSampler(seed=0, space=space, constraints=[small]))
    objective = ArchitectureObjective(space, evaluator, objectives=["params"], constraints=[small])
    study.optimize(objective, n_trials=10)
    assert all(trial.params["width"] <= 13 for trial in study.trials)  # 75 * 13 + 10 = 985.


def test_unknown_metric() -> None:
    with pytest.raises(ValueError, match="`metric` to be one of .* but got 'energy'"):
        make(Builder()).cost("energy", of_width(4))
    with pytest.raises(ValueError, match="on an NVIDIA GPU for the metric `energy_mj`"):
        make(Builder(), metrics=["energy_mj"])


def test_known_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_MAX_KNOWN", 1)
    build = Builder()
    evaluator = make(build)
    for width in (4, 16, 4):
        evaluator.cost("params", of_width(width))
    assert len(build.devices) == 3


# Metrics of the user's own.


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> MetricTable:
    """The table of metrics, as it was after the test."""
    monkeypatch.setattr(METRICS, "_metrics", dict(METRICS._metrics))
    return METRICS


def test_a_counted_metric_of_ones_own(table: MetricTable) -> None:
    def depth(network: nn.Module) -> float:
        assert isinstance(network, nn.Sequential)
        return len(network)

    table.add(Metric("depth", "minimize", source="counted", measure=depth))
    assert "depth" in cost_names("counted")
    build = Builder()
    evaluator = make(build, metrics=["depth", "params"])
    assert evaluator.cost("depth", of_width(10**7)) == 3
    assert set(build.devices) == {"meta"}
    assert evaluator(of_width(4)).metrics == {"depth": 3, "params": 75 * 4 + 10}


def test_a_measured_metric_of_ones_own_is_measured_on_the_device(table: MetricTable) -> None:
    def device(network: nn.Module) -> float:
        return float(next(network.parameters()).device.type == "meta")

    table.add(Metric("on_meta", "minimize", source="measured", measure=device))
    assert "on_meta" not in cost_names("counted")
    meter = CostMeter(torch.device("meta"))
    assert meter.measure(["on_meta"], nn.Linear(2, 2), (2,)) == {"on_meta": 1}
    assert make(Builder(), metrics=["on_meta"])(of_width(4)).metrics == {"on_meta": 0}


def test_a_metric_that_nothing_here_can_measure(table: MetricTable) -> None:
    table.update([{"name": "weight_kg", "direction": "minimize", "source": "measured"}])
    with pytest.raises(ValueError, match="metric weight_kg to have a function `measure`.* none"):
        make(Builder(), metrics=["weight_kg"])(of_width(4))


def test_names_of_costs() -> None:
    counted, measured = cost_names("counted"), cost_names("measured")
    assert counted == ["params", "macs", "training_memory_mb"]
    assert measured == ["latency_ms", "throughput", "peak_memory_mb", "energy_mj"]
    assert cost_names() == counted + measured


# Inputs of other kinds than images.

ALL = ["params", "macs", "training_memory_mb", "latency_ms", "throughput", "peak_memory_mb"]


def measure(network: nn.Module, sample: Any) -> dict[str, float]:
    meter = CostMeter(torch.device("cpu"), training_batch_size=5)
    return meter.measure(ALL, network, sample)


def test_a_network_with_double_precision() -> None:
    network = nn.Linear(6, 2).double()
    for sample in [(6,), Inputs((torch.zeros(1, 6, dtype=torch.float64),))]:
        found = measure(network, sample)
        assert (found["params"], found["macs"]) == (14, 12)
        assert found["peak_memory_mb"] == pytest.approx(8 * (14 + 6 + 2) / 1e6)
        assert found["training_memory_mb"] == pytest.approx(8 * (4 * 14 + 5 * 6) / 1e6)
        assert found["latency_ms"] > 0
        assert found["throughput"] > 0


def test_a_network_of_integers() -> None:
    network = nn.Sequential(nn.Embedding(50, 4), nn.Flatten(), nn.Linear(12, 2, bias=False))
    found = measure(network, Inputs((torch.tensor([[1, 2, 49]]),)))
    assert (found["params"], found["macs"]) == (50 * 4 + 24, 24)
    assert found["peak_memory_mb"] == pytest.approx((4 * 224 + 8 * 3 + 4 * (12 + 2)) / 1e6)
    kept = 5 * (8 * 3 + 4 * 12)
    assert found["training_memory_mb"] == pytest.approx((4 * 4 * 224 + kept) / 1e6)


def test_a_network_without_parameters() -> None:
    found = measure(nn.ReLU(), (6,))
    assert (found["params"], found["macs"], found["training_memory_mb"]) == (0, 0, 0)
    assert found["peak_memory_mb"] == pytest.approx(4 * (6 + 6) / 1e6)
    assert found["latency_ms"] > 0
    assert found["throughput"] > 0
    doubles = measure(nn.ReLU(), Inputs((torch.ones(1, 6, dtype=torch.float64),)))
    assert doubles["peak_memory_mb"] == pytest.approx(8 * (6 + 6) / 1e6)
