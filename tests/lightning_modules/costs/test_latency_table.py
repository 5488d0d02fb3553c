"""Latency tables: sums that are exact where costs add up, and their expectations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_modules import as_kit
from lightning_modules import Classification
from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules import profile_latency
from lightning_modules.costs import latency_profile
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import Constraint
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.spaces import MobileStage


SHAPE = (1, 9, 10)
TASK = Classification(3)
STAGE = MobileStage(depths=(1, 2), widths=(4, 8), strides=(1, 2), kernels=(3,), expansions=(1, 3))
SKIPS = MobileStage(
    depths=(1, 3), widths=(8,), strides=(2,), kernels=(3, 5), expansions=(2,), skip=True
)

# Small enough to enumerate.
SMALL: dict[str, tuple[SearchSpace, dict[str, Any]]] = {
    "mobile": (MobileSpace([STAGE], stem_widths=(4, 8), stem_strides=(1, 2)), {}),
    "mobile with skips": (MobileSpace([SKIPS], head_widths=(8, 16), styles=("fbnet",)), {}),
    "mobile with scaling": (
        MobileSpace(
            [MobileStage(depths=(1, 2), widths=(8,), kernels=(3,), expansions=(1, 3))],
            styles=("mobilenet_v3", "efficientnet"),
            resolutions=(7, 12),
            width_coefficients=(1.0, 2.0),
            depth_coefficients=(0.5, 1.0, 1.6),
        ),
        {},
    ),
    "cell": (CellSpace(n_nodes=3), {"channels": 2, "cells_per_stage": 2, "stages": 2}),
    "cell of 4 nodes": (
        CellSpace(operations=("none", "skip_connect", "nor_conv_1x1")),
        {"channels": 2, "cells_per_stage": 1, "stages": 1},
    ),
    "chain": (
        ChainSpace(max_depth=2, filters=(4, 8), kernel_sizes=(3,), units=(16, 8)),
        {},
    ),
    "darts": (
        DartsSpace(n_nodes=1, operations=("sep_conv_3x3", "max_pool_3x3", "skip_connect")),
        {"channels": 2, "cells": 4},
    ),
    "darts with loose nodes": (
        DartsSpace(n_nodes=2, operations=("skip_connect",), distinct=False, concat="loose"),
        {"channels": 2, "cells": 4},
    ),
}
LARGE: dict[str, tuple[SearchSpace, dict[str, Any]]] = {
    "mobile-small": (MobileSpace.small(), {"dropout": 0.1}),
    "fbnet": (MobileSpace.fbnet(), {}),
    "sub-space": (MobileSpace.small().freeze({"stage_1_depth": 1, "stage_2_width": 32}), {}),
    "cell-5": (CellSpace(n_nodes=5), {"channels": 4, "cells_per_stage": 1}),
    "darts-4": (DartsSpace(), {"channels": 4, "cells": 6}),
    "nasnet": (DartsSpace.nasnet(), {"channels": 2, "cells": 4}),
    "chain-6": (ChainSpace(), {}),
}


class Dispatched(TorchDispatchMode):
    """Adds up a price of everything that torch computes."""

    total = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [value for value in (*args, result) if isinstance(value, Tensor)]
        self.total += len(str(func)) + sum(tensor.numel() for tensor in tensors)
        return result


def price(network: nn.Module, input_shape: tuple[int, ...], **_: Any) -> Latency:
    """Return a cost that really is a sum over operations, in place of a time."""
    network.eval()
    images = torch.zeros(1, *input_shape)
    with torch.no_grad(), Dispatched() as dispatched:
        network(images)
    return Latency(dispatched.total, 0.0)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LatencyTable]:
    monkeypatch.setattr(latency_profile, "time_forward", price)

    def make(space: SearchSpace, **network: Any) -> LatencyTable:
        return profile_latency(
            space, input_shape=SHAPE, task=TASK, rounds=1, progress=False, **network
        )

    return make


def build(space: SearchSpace, architecture: Architecture, **arguments: Any) -> nn.Module:
    return TASK.network(as_kit(space).backbone(architecture, **arguments))


def one_hot(space: SearchSpace, architecture: Architecture) -> dict[str, Tensor]:
    """Return certain choices; those of inactive decisions do not matter."""
    probabilities: dict[str, Tensor] = {}
    for name, distribution in space.distributions.items():
        choices = choices_of(distribution)
        place = choices.index(architecture[name]) if name in architecture else -1
        probabilities[name] = torch.eye(len(choices), dtype=torch.float64)[place]
    return probabilities


def choices_of(distribution: Any) -> list[Any]:
    if hasattr(distribution, "choices"):
        return list(distribution.choices)
    return list(range(distribution.low, distribution.high + 1))


def brute_force(
    space: SearchSpace, table: LatencyTable, probabilities: dict[str, Tensor]
) -> Tensor:
    """Return the expectation as a sum over all architectures."""
    total = torch.zeros((), dtype=torch.float64)
    for i in range(space.size):
        architecture = space.architecture_at(i)
        weight = torch.ones((), dtype=torch.float64)
        for name, choice in architecture.items():
            place = choices_of(space.distributions[name]).index(choice)
            weight = weight * probabilities[name][place]
        total = total + weight * table.predict_ms(architecture)
    return total


# Sums.


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_the_sum_is_exact_where_costs_add_up(
    name: str, table: Callable[..., LatencyTable]
) -> None:
    space, network = (SMALL | LARGE)[name]
    measured = table(space, **network)
    assert not measured.missing()
    rng = np.random.default_rng(0)
    for _ in range(8):
        architecture = space.sample(rng)
        whole = build(space, architecture, input_shape=SHAPE, **network)
        assert measured.predict_ms(architecture) == price(whole, SHAPE).median_ms
        expected = measured.expected_ms(one_hot(space, architecture))
        torch.testing.assert_close(float(expected), measured.predict_ms(architecture))


@pytest.mark.parametrize("name", ["mobile", "cell", "chain", "darts"])
@pytest.mark.parametrize("input_shape", [(3, 1, 1), (2, 2, 7)])
def test_the_sum_is_exact_for_tiny_images(
    name: str, input_shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency_profile, "time_forward", price)
    space, network = SMALL[name]
    arguments: dict[str, Any] = {"input_shape": input_shape, **network}
    measured = profile_latency(space, task=TASK, **arguments, rounds=1, progress=False)
    architecture = space.sample(np.random.default_rng(1))
    whole = build(space, architecture, **arguments)
    assert measured.predict_ms(architecture) == price(whole, input_shape).median_ms


def test_operations_that_occur_at_several_positions_are_measured_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[int, ...]] = []

    def count(network: nn.Module, input_shape: tuple[int, ...], **settings: Any) -> Latency:
        assert settings == {"batch_size": 2, "threads": 1, "min_run_time": 0.5}
        calls.append(input_shape)
        return Latency(5.0 - len(calls) / 100, 0.5)

    monkeypatch.setattr(latency_profile, "time_forward", count)
    arguments: dict[str, Any] = {"input_shape": SHAPE, "task": TASK, "stages": 1}
    arguments |= {"batch_size": 2, "min_run_time": 0.5, "rounds": 3}
    measured = profile_latency(CellSpace(), **arguments)
    # Five operations (zeros included), an addition, stem, pooling and head.
    assert len(calls) == 3 * 9
    positions = [position for position, name in measured.entries if "conv_3x3" in name]
    assert positions == [f"stage_1_edge_{e}" for e in ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")]
    medians = {entry.median_ms for entry in measured.entries.values()}
    assert medians == {5.0 - i / 100 for i in range(19, 28)}  # The lowest of the rounds.


def test_a_constraint_without_a_network(table: Callable[..., LatencyTable]) -> None:
    space, network = SMALL["cell"]
    measured = table(space, **network)
    none = space.complete({"edge_0_1": "none", "edge_0_2": "none", "edge_1_2": "none"})
    upper = measured.predict_ms(none)
    constraint = Constraint("latency_ms", upper=upper, function=measured.predict_ms)
    assert constraint.violation(constraint.value_of(none)) == 0
    convolutions = space.complete(dict.fromkeys(space.distributions, "nor_conv_3x3"))
    assert constraint.violation(constraint.value_of(convolutions)) > 0


def test_architectures_that_the_table_does_not_hold(table: Callable[..., LatencyTable]) -> None:
    space, network = SMALL["cell"]
    measured = table(space, **network)
    with pytest.raises(ValueError, match="search space `cell` but got one of `chain`"):
        measured.predict_ms(ChainSpace().from_string("C-S"))
    with pytest.raises(ValueError, match="decisions of the table's search space but got Arch"):
        table(SMALL["mobile"][0]).predict_ms(Architecture("mobile", {}))
    part = table(space.freeze({"edge_0_1": "none"}), **network)
    with pytest.raises(ValueError, match="hold `skip_connect @ .*` at `stage_1_edge_0_1` but"):
        part.predict_ms(space.complete({"edge_0_1": "skip_connect", "edge_1_2": "skip_connect"}))


# Expectations.


@pytest.mark.parametrize("name", list(SMALL))
def test_expectation_and_gradient_by_brute_force(
    name: str, table: Callable[..., LatencyTable]
) -> None:
    space, network = SMALL[name]
    measured = table(space, **network)
    generator = torch.Generator().manual_seed(0)
    logits = {
        n: torch.randn(len(choices_of(d)), generator=generator, dtype=torch.float64)
        for n, d in space.distributions.items()
    }
    for values in logits.values():
        values.requires_grad_()

    def gradients(of: Callable[[dict[str, Tensor]], Tensor]) -> tuple[Tensor, list[Tensor]]:
        value = of({n: values.softmax(0) for n, values in logits.items()})
        found = torch.autograd.grad(value, list(logits.values()), materialize_grads=True)
        return value.detach(), list(found)

    expected = gradients(lambda probabilities: brute_force(space, measured, probabilities))
    torch.testing.assert_close(gradients(measured.expected_ms), expected)


def test_decisions_without_probabilities_are_uniform(table: Callable[..., LatencyTable]) -> None:
    space, network = SMALL["cell"]
    measured = table(space, **network)
    uniform = {
        n: torch.full((len(choices_of(d)),), 1 / len(choices_of(d)))
        for n, d in space.distributions.items()
    }
    mean = np.mean([measured.predict_ms(space.architecture_at(i)) for i in range(space.size)])
    for probabilities in (uniform, {}, {"edge_0_1": uniform["edge_0_1"]}):
        expected = measured.expected_ms(probabilities)
        assert expected.dtype == torch.float32
        assert float(expected) == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize(
    ("probabilities", "sentence"),
    [
        ({"edge_9_9": torch.ones(5)}, r"to name decisions of .* but got \['edge_9_9'\]"),
        ({"edge_0_1": torch.ones(4)}, r"`edge_0_1` to be .* shape \(5,\) but got .* of \(4,\)"),
        ({"edge_0_1": torch.ones(5).long()}, "to be floating point .* but got torch.int64"),
        ({"edge_0_1": torch.ones(5)}, "`edge_0_1` to be at least 0 and of sum 1 .* sum of 5"),
        ({"edge_0_1": torch.full((5,), 0.2001)}, "a lowest one of 0.2001 and a sum of 1.0005"),
        ({"edge_0_1": torch.tensor([1.5, -0.5, 0, 0, 0])}, "a lowest one of -0.5 and a sum of 1"),
        ({"edge_0_1": torch.full((5,), torch.nan)}, "a lowest one of nan"),
        ({"edge_0_1": torch.tensor([torch.inf, 0, 0, 0, 0])}, "a sum of inf"),
    ],
)
def test_wrong_probabilities(
    probabilities: dict[str, Tensor], sentence: str, table: Callable[..., LatencyTable]
) -> None:
    space, network = SMALL["cell"]
    with pytest.raises(ValueError, match=sentence):
        table(space, **network).expected_ms(probabilities)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_rounded_probabilities_pass(
    dtype: torch.dtype, table: Callable[..., LatencyTable]
) -> None:
    space, network = SMALL["cell"]
    measured = table(space, **network)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        logits = torch.randn(5, generator=generator).to(dtype).requires_grad_()
        measured.expected_ms({"edge_0_1": logits.softmax(0)}).backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        assert bool(logits.grad.isfinite().all())
    assert float(measured.expected_ms({"edge_0_1": torch.full((5,), 0.20001)})) > 0
