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


# Metrics of one's own, by an entry in the table.


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> MetricTable:
    """The table of metrics, which is put back after the test."""
    monkeypatch.setattr(METRICS, "_metrics", dict(METRICS._metrics))
    return METRICS


def test_a_counted_metric_of_ones_own(table: MetricTable) -> None:
    devices: list[str] = []

    def count_layers(network: nn.Module) -> float:
        devices.append(next(network.parameters()).device.type)
        network.eval()
        return sum(isinstance(module, nn.Linear) for module in network.modules())

    table.add(Metric("layers", "minimize", source="counted", measure=count_layers))
    assert "layers" in cost_names()
    assert "layers" in cost_names("counted")
    evaluator = make(Builder(), metrics=["layers", "params"])
    assert evaluator.cost("layers", of_width(10**7)) == 2
    assert evaluator.cost("layers", of_width(10**7)) == 2
    assert devices == ["meta"]
    assert evaluator(of_width(4)).metrics == {"layers": 2, "params": 75 * 4 + 10}
    network = nn.Linear(2, 2)
    CostMeter(torch.device("cpu")).measure(["layers"], network, (2,))
    assert network.training  # As it was.


def test_a_measured_metric_of_ones_own(table: MetricTable) -> None:
    values = iter(range(100))
    measured: list[nn.Module] = []

    def rank(network: nn.Module) -> float:
        measured.append(network)
        return float(next(values))

    table.add(Metric("rank", "maximize", source="measured", measure=rank))
    evaluator = make(Builder(), metrics=["rank"])
    assert evaluator.cost("rank", of_width(4)) == 0
    assert evaluator(of_width(4)).metrics == {"rank": 0}  # As the constraint had it.
    assert evaluator(of_width(4)).metrics == {"rank": 1}
    assert next(measured[0].parameters()).device.type == "cpu"
    with torch.device("meta"):
        network = nn.Linear(2, 2)
    meter = CostMeter(torch.device("meta"))  # Any device that the network is not on.
    on_cpu = nn.Linear(2, 2)
    meter.measure(["rank"], on_cpu, (2,))
    assert on_cpu.weight.device.type == "meta"
    assert meter.measure(["rank", "params"], network, (2,)) == {"rank": 3, "params": 6}


def test_ones_own_in_the_place_of_ours(table: MetricTable) -> None:
    table.add(Metric("params", "minimize", source="counted", measure=lambda network: 7))
    table.add(Metric("energy_mj", "minimize", source="measured", measure=lambda network: 8))
    meter = CostMeter(torch.device("cpu"))
    meter.check(["energy_mj", "val_accuracy"])
    found = meter.measure(["params", "energy_mj"], nn.Linear(2, 2), (2,))
    assert found == {"params": 7, "energy_mj": 8}


def test_metrics_that_nothing_measures(table: MetricTable) -> None:
    table.add(Metric("carbon", "minimize", source="measured"))
    meter = CostMeter(torch.device("cpu"))
    message = "`measure` of the metric carbon, .* a function .* but got None"
    with pytest.raises(ValueError, match=message):
        meter.check(["params", "carbon"])
    with pytest.raises(ValueError, match=message):
        meter.measure(["carbon"], nn.Linear(2, 2), (2,))
    with pytest.raises(ValueError, match="a cost metric, one of .*'params'.*, but got 'val_loss'"):
        meter.measure(["val_loss"], nn.Linear(2, 2), (2,))


# Networks of several inputs.


class Two(nn.Module):
    """Takes numbers and tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.layer = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, numbers: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return self.layer(numbers + self.tokens(tokens).mean(1))


@pytest.mark.parametrize("by_name", [False, True])
def test_networks_of_several_inputs(by_name: bool) -> None:
    numbers, tokens = torch.zeros(1, 4), torch.tensor([[1, 5, 8]])
    sample = Inputs((), {"numbers": numbers, "tokens": tokens})
    sample = sample if by_name else Inputs((numbers, tokens))
    names = [name for name in cost_names() if name != "energy_mj"]
    meter = CostMeter(torch.device("cpu"), batch_size=3, training_batch_size=5)
    found = meter.measure(names, Two(), sample)
    weights = 9 * 4 + 4 * 2 + 2
    assert found["params"] == weights
    assert found["macs"] == 4 * 2
    # Kept for the backward pass: the tokens, 8 bytes each, and the input of the layer.
    kept = 5 * (3 * 8 + 4 * 4)
    assert found["training_memory_mb"] == pytest.approx((4 * 4 * weights + kept) / 1e6)
    assert found["latency_ms"] > 0 < found["throughput"]
    inputs = 3 * (4 * 4 + 3 * 8)
    assert found["peak_memory_mb"] * 1e6 > 4 * weights + inputs
