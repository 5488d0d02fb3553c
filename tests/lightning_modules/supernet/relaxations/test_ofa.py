"""Progressive shrinking: what is open when, and a loss against one written by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_modules import build_mobile_backbone
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import inherit_weights
from lightning_modules.supernet import Supernet
from lightning_modules.supernet.relaxations import ProgressiveShrinking
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from lightning_modules.supernet.relaxations.ofa import ordered_choices
from lightning_modules.tasks import Classification
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import MobileSpace
from optuna_nas.spaces import MobileStage


SIZES: dict[str, Any] = {"input_shape": (1, 6, 6)}
SPACE = MobileSpace(
    [
        MobileStage(
            depths=(1, 2),
            widths=(8, 4),
            strides=(1, 2),
            kernels=(3, 5, 1),
            expansions=(2, 1),
            se_ratios=(0.5, 0),
            activations=("relu", "hswish"),
            skip=True,
        )
    ],
    stem_widths=(4, 8),
    head_widths=(8,),
)
KERNELS = {"stage_1_block_1_kernel", "stage_1_block_2_kernel"}
DEPTHS = {"stage_1_depth", "stage_1_block_2_type"}
ACTIVATIONS = {"stage_1_block_1_activation", "stage_1_block_2_activation"}


def make(space: MobileSpace = SPACE) -> Supernet:
    torch.manual_seed(0)
    return build_supernet(space, Classification(3), **SIZES).double()


def at(progress: float, number: int = 0) -> Step:
    return Step(number, progress, 0.1)


def drawn(relaxation: ProgressiveShrinking, supernet: Supernet, progress: float) -> dict:
    """Return the choices that the random architectures of many steps take, by decision."""
    found: dict[str, set] = {}
    for number in range(60):
        for architecture in relaxation.architectures(supernet, at(progress, number)):
            for name, choice in architecture.items():
                found.setdefault(name, set()).add(choice)
    return found


def test_phases_open_kernels_then_depths_then_all_else() -> None:
    supernet = make()
    relaxation = ProgressiveShrinking(supernet)
    everything = set(supernet.choices) - ACTIVATIONS - {"style"}
    for progress, expected in [
        (0.0, set()),
        (0.09, set()),
        (0.1, KERNELS),
        (0.24, KERNELS),
        (0.25, KERNELS | DEPTHS),
        (0.4, everything),
        (1.0, everything),
    ]:
        assert relaxation.open_decisions(progress) == expected


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.25, 0.4])
def test_closed_decisions_take_their_largest_choice_and_open_ones_all(progress: float) -> None:
    supernet = make()
    relaxation = ProgressiveShrinking(supernet)
    largest = {
        **{"stem_width": 8, "stage_1_depth": 2, "stage_1_width": 8, "stage_1_stride": 1},
        **{"stage_1_block_1_kernel": 5, "stage_1_block_2_kernel": 5},
        **{"stage_1_block_1_se": 0.5, "stage_1_block_2_se": 0.5},
        **{"stage_1_block_1_expansion": 2, "stage_1_block_2_expansion": 2},
        **{"stage_1_block_2_type": "mbconv", "stem_stride": 1, "head_width": 8},
    }
    is_open = relaxation.open_decisions(progress)
    for name, seen in drawn(relaxation, supernet, progress).items():
        free = name in is_open or name in ACTIVATIONS or name == "style"
        assert seen == (set(supernet.choices[name]) if free else {largest[name]}), name


def test_the_first_is_the_largest_and_the_second_the_smallest() -> None:
    supernet = make()
    relaxation = ProgressiveShrinking(supernet, n_random=3)
    for number in range(10):
        largest, smallest, *others = relaxation.architectures(supernet, at(1.0, number))
        assert SPACE.to_string(largest).replace("hswish", "relu") == (
            "mobilenet_v3|stem8s1|8s1(k5e2se0.5_relu,k5e2se0.5_relu)|head8"
        )
        assert SPACE.to_string(smallest).replace("hswish", "relu") == (
            "mobilenet_v3|stem4s1|4s2(k1e1_relu)|head8"
        )
        assert len(others) <= 3


def test_skip_is_the_smallest_type() -> None:
    space = SPACE.freeze({"stage_1_depth": 2})
    relaxation = ProgressiveShrinking(build_supernet(space, Classification(3), **SIZES))
    smallest = relaxation.architectures(make(), at(0.3))[1]
    assert smallest["stage_1_block_2_type"] == "skip"


def test_architectures_depend_on_seed_and_step_alone() -> None:
    supernet = make()
    first, second = (ProgressiveShrinking(supernet, seed=7) for _ in range(2))
    assert first.architectures(supernet, at(1.0, 3)) == second.architectures(supernet, at(1.0, 3))
    other = ProgressiveShrinking(supernet, seed=8)
    many = [[r.architectures(supernet, at(1.0, n)) for n in range(9)] for r in (first, other)]
    assert many[0] != many[1]
    assert len({tuple(step) for step in many[0]}) > 5


def test_other_spaces_of_numbers() -> None:
    ordered = ordered_choices(ChainSpace(), ("*pool_size*",))
    sizes = [groups for name, groups in ordered.items() if name.endswith("pool_size")]
    assert sizes
    assert all(groups == sorted(groups, reverse=True) for groups in sizes)
    filters = [groups for name, groups in ordered.items() if name.endswith("filters")]
    assert all(groups == sorted(groups) for groups in filters)


def test_phases_of_ones_own() -> None:
    supernet = make()
    phases = [(0.5, ["*_width"]), (0.6, ["stage_*"])]
    relaxation = ProgressiveShrinking(supernet, phases=phases)
    assert relaxation.open_decisions(0.0) == {"stem_stride"}
    assert relaxation.open_decisions(0.5) == {
        *("stem_stride", "stem_width", "head_width", "stage_1_width")
    }


def test_wrong_arguments_are_refused() -> None:
    supernet = make()
    with pytest.raises(ValueError, match="`n_random` to be at least 0 but got -1"):
        ProgressiveShrinking(supernet, n_random=-1)
    with pytest.raises(ValueError, match=r"`phases` to begin in \[0, 1\] but got \[1.5\]"):
        ProgressiveShrinking(supernet, phases=[(1.5, ["*"])])
    cells = build_supernet(CellSpace(), Classification(2), input_shape=(1, 8, 8), channels=4)
    with pytest.raises(ValueError, match="`supernet` .* but got one of `cell` without any"):
        ProgressiveShrinking(cells)


# The loss, against networks of their own with the same weights.


def log_softmax(logits: Tensor) -> Tensor:
    return logits - logits.exp().sum(dim=1, keepdim=True).log()


def reference_gradients(
    supernet: Supernet, architectures: list[Architecture], batch: Samples
) -> tuple[float, dict[str, Tensor]]:
    """Return the loss and, by the supernet's names, the summed gradients of single networks."""
    total = {n: torch.zeros_like(p) for n, p in supernet.network.named_parameters()}
    teacher: Tensor | None = None
    first = 0.0
    for architecture in architectures:
        network = supernet.task.network(build_mobile_backbone(architecture, **SIZES)).double()
        inherit_weights(network, supernet, architecture)
        logs = log_softmax(network(batch.inputs))
        if teacher is None:
            teacher = logs.exp().detach()
            loss = -logs[range(len(batch.targets)), batch.targets].mean()
            first = float(loss.detach())
        else:
            loss = -(teacher * logs).sum(dim=1).mean()
        loss.backward()
        for name, parameter in network.named_parameters():
            part, grad = total[name], parameter.grad
            assert grad is not None
            if grad.ndim == 4:
                margin = (part.shape[3] - grad.shape[3]) // 2
                end = part.shape[3] - margin
                part = part[:, :, margin:end, margin:end]
            part[tuple(slice(n) for n in grad.shape)] += grad
    return first, total


@pytest.mark.parametrize("progress", [0.0, 0.2, 1.0])
def test_gradients_are_those_of_the_networks_apart(progress: float) -> None:
    supernet = make()
    relaxation = ProgressiveShrinking(supernet)
    batch = Samples(torch.randn(5, 1, 6, 6).double(), torch.tensor([0, 2, 1, 1, 0]))
    architectures = relaxation.architectures(supernet, at(progress, 4))
    assert len(architectures) > 1
    expected, gradients = reference_gradients(supernet, architectures, batch)
    loss = relaxation.weight_step(supernet, batch, at(progress, 4), Tensor.backward)
    assert float(loss) == pytest.approx(expected)
    assert not loss.requires_grad
    for name, parameter in supernet.network.named_parameters():
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(found, gradients[name], atol=1e-8, rtol=1e-6)


def test_no_gradient_flows_into_the_targets() -> None:
    """The weights of the largest network alone do not feel the loss of the smallest."""
    supernet = make()
    relaxation = ProgressiveShrinking(supernet, n_random=0)
    batch = Samples(torch.randn(5, 1, 6, 6).double(), torch.tensor([0, 2, 1, 1, 0]))
    losses: list[Tensor] = []
    relaxation.weight_step(supernet, batch, at(1.0), losses.append)
    assert len(losses) == 2
    losses[1].backward()
    block = supernet.network.get_submodule("backbone.blocks.stage_1_block_2")
    assert all(p.grad is None for p in block.parameters())  # Not in the smallest.
    stem = supernet.network.get_submodule("backbone.stem.conv")
    assert stem.weight.grad[:4].abs().min() > 0
    assert not stem.weight.grad[4:].any()
