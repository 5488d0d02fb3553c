"""The supernet of cells: its paths are single networks, its mixtures are hand-written sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules import build_cell_backbone
from lightning_modules import Classification
from lightning_modules import make_operation
from lightning_modules.spaces.cell import CellSupernet
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Gate
from lightning_modules.supernet import inherit_weights
from lightning_modules.supernet import MixedOperation
from lightning_modules.supernet._gates import GateBoard
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior


SPACE = CellSpace()
TASK = Classification(3)
SIZES: dict[str, Any] = {
    "input_shape": (2, 8, 7),
    "channels": 4,
    "cells_per_stage": 1,
    "stages": 2,
}


def make(space: SearchSpace = SPACE, **arguments: Any) -> CellSupernet:
    """Return a supernet in which weights, normalisation and statistics are all of their own."""
    torch.manual_seed(0)
    supernet = build_supernet(space, TASK, **{**SIZES, **arguments})
    assert isinstance(supernet, CellSupernet)
    with torch.no_grad():
        for tensor in supernet.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return supernet


def build(architecture: Architecture) -> nn.Module:
    return TASK.network(build_cell_backbone(architecture, **SIZES))


def cell(*operations: str) -> Architecture:
    """Make a cell from the operations of the edges 0-1, 0-2, 1-2, 0-3, 1-3 and 2-3."""
    names = dict(zip("ns13p", SPACE.operations, strict=True))
    edges = zip(SPACE.distributions, "".join(operations), strict=True)
    return SPACE.architecture({edge: names[letter] for edge, letter in edges})


DEAD = [
    cell("nnnnnn"),
    cell("3nnnnn"),  # Node 1 reaches nothing.
    cell("33nnnn"),  # Nor does node 2.
    cell("n13n3n"),  # Node 1 has no input, but reaches the output.
    cell("nn3nn3"),  # Nothing reaches the output from the input.
    cell("3nnnp1"),  # The same for node 2.
]
LIKELY = Prior(SPACE, {"edge_0_1": [1, 9, 1, 9, 9], "edge_1_2": [9, 0, 0, 0, 9]}, floor=0)
SPACES: dict[str, SearchSpace] = {
    "whole": SPACE,
    "frozen": SPACE.freeze({"edge_0_2": "nor_conv_3x3", "edge_1_3": "none"}),
    "shrunk": SPACE.shrink(LIKELY, keep=0.5),
    "three nodes": CellSpace(n_nodes=3, operations=("nor_conv_1x1", "none", "avg_pool_3x3")),
}


def assert_path_is_network(
    supernet: CellSupernet, architecture: Architecture, training: bool
) -> None:
    network = build(architecture)
    inherit_weights(network, supernet, architecture)
    supernet.train(training)
    network.train(training)
    images = torch.randn(3, *SIZES["input_shape"])
    path = supernet.path(architecture)
    torch.testing.assert_close(supernet(images, path), network(images), atol=1e-6, rtol=0)
    if training:  # Both have met the same batch, also in their statistics.
        supernet.eval()
        network.eval()
        torch.testing.assert_close(supernet(images, path), network(images), atol=1e-6, rtol=0)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SPACES)
def test_a_path_is_the_single_network(name: str, training: bool, affine: bool) -> None:
    space, rng = SPACES[name], np.random.default_rng(0)
    supernet = make(space, affine=affine)
    architectures = DEAD if name == "whole" else []
    for architecture in [*architectures, *(space.sample(rng) for _ in range(40))]:
        assert_path_is_network(supernet, architecture, training)


def test_paths_of_several_cells_of_a_stage() -> None:
    supernet = make(cells_per_stage=2, stages=1)
    architecture = cell("3s1pn3")
    network = supernet.network_of(architecture)
    images = torch.randn(3, *SIZES["input_shape"])
    torch.testing.assert_close(
        supernet(images, supernet.path(architecture)), network(images), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("sampled", [False, True])
def test_a_path_computes_its_own_live_operations_alone(sampled: bool) -> None:
    """Also where all its gates are given, dead edges included, as sampled gates are."""
    supernet, called = make(), []
    for name, module in supernet.network.named_modules():
        if name.rpartition(".")[0].endswith(".choices"):
            module.register_forward_hook(lambda *_, name=name: called.append(name))
    architecture = cell("31n3sn")
    gates = supernet.path(architecture)
    if sampled:
        index = supernet.choices["edge_0_1"].index
        gates = {e: Gate((index(o),), torch.ones(1)) for e, o in architecture.items()}
    supernet(torch.randn(3, *SIZES["input_shape"]), gates)
    expected = {"edge_0_1": "nor_conv_3x3", "edge_0_3": "nor_conv_3x3", "edge_1_3": "skip_connect"}
    assert sorted(called) == sorted(
        f"backbone.cells.{i}.edges.{edge}.choices.{operation}"
        for i in (0, 2)
        for edge, operation in expected.items()
    )


def test_two_paths_differ() -> None:
    supernet, images = make().eval(), torch.randn(3, *SIZES["input_shape"])
    first, second = (supernet(images, supernet.path(cell(c))) for c in ("333333", "333331"))
    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize("name", SPACES)
def test_inherited_names_and_shapes_are_those_of_the_single_network(name: str) -> None:
    space, rng = SPACES[name], np.random.default_rng(1)
    supernet = make(space)
    for architecture in [space.sample(rng) for _ in range(20)]:
        own = build(architecture).state_dict()
        found = supernet.inherited_state(architecture)
        assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in own.items()}


def test_inherited_tensors_are_those_of_the_choice() -> None:
    supernet = make()
    found = supernet.inherited_state(cell("3s1pn3"))
    name = "backbone.cells.0.edges.edge_1_2.conv.weight"
    held = "network.backbone.cells.0.edges.edge_1_2.choices.nor_conv_1x1.conv.weight"
    assert found[name].data_ptr() == supernet.state_dict()[held].data_ptr()


def test_normalisation_without_learned_weights_leaves_out_its_weights_alone() -> None:
    supernet, architecture = make(affine=False), cell("333333")
    own = build(architecture).state_dict()
    missing = set(own) - set(supernet.inherited_state(architecture))
    edge = [f"backbone.cells.{i}.edges.{e}.norm." for i in (0, 2) for e in architecture]
    assert missing == {f"{e}{part}" for e in edge for part in ("weight", "bias")}


def test_a_dropped_choice_is_not_built_and_its_architecture_refused() -> None:
    supernet = make(SPACES["frozen"])
    names = [n for n, _ in supernet.named_modules() if n.endswith("edge_0_2.choices")]
    assert len(names) == 2
    assert all(list(supernet.get_submodule(n)._modules) == ["nor_conv_3x3"] for n in names)
    for method in (supernet.path, supernet.inherited_state):
        with pytest.raises(ValueError, match="edge_0_2"):
            method(Architecture("cell", {**cell("333333"), "edge_0_2": "none"}))


def test_partial_channels_refuse_inheritance() -> None:
    supernet = make(partial_channels=2)
    with pytest.raises(ValueError, match=r"^Expected a supernet with `partial_channels=1`.* 2\.$"):
        supernet.network_of(cell("333333"))


@pytest.mark.parametrize("partial_channels", [0, -1, 3])
def test_partial_channels_divide_the_channels(partial_channels: int) -> None:
    with pytest.raises(ValueError, match=f"`partial_channels` .*but got {partial_channels}"):
        make(partial_channels=partial_channels)


# Soft gates, against sums written by hand.


def by_hand(
    supernet: CellSupernet,
    images: Tensor,
    weights: Mapping[str, Tensor],
    scales: Mapping[str, Any],
) -> Tensor:
    """Compute a network of two stages of one cell with the mixtures written out."""
    network, head = supernet.network.backbone, supernet.network.head
    x = network.stem(images)
    for i in (0, 1, 2):
        if i == 1:
            x = network.cells[1](x)
            continue
        edges, nodes = network.cells[i].edges, [x]
        for target in (1, 2, 3):
            total = torch.zeros_like(x)
            for source in range(target):
                edge = f"edge_{source}_{target}"
                for k, operation in enumerate(edges[edge].choices.values()):
                    total += scales[edge] * weights[edge][k] * operation(nodes[source])
            nodes.append(total)
        x = nodes[3]
    return head(torch.relu(network.norm(x)).mean(dim=(2, 3)))


@pytest.mark.parametrize("scaled", [False, True])
def test_soft_gates_are_the_weighted_sum(scaled: bool) -> None:
    supernet, images = make().eval(), torch.randn(3, *SIZES["input_shape"])
    weights = {edge: torch.rand(5) for edge in supernet.choices}
    scales = {edge: torch.rand(()) if scaled else None for edge in supernet.choices}
    gates = {e: Gate(tuple(range(5)), weights[e], scales[e]) for e in supernet.choices}
    factors = {edge: 1.0 if scale is None else scale for edge, scale in scales.items()}
    expected = by_hand(supernet, images, weights, factors)
    torch.testing.assert_close(supernet(images, gates), expected, atol=1e-5, rtol=0)


def test_some_active_choices_in_any_order_are_their_weighted_sum() -> None:
    supernet, images = make().eval(), torch.randn(3, *SIZES["input_shape"])
    gates = {e: Gate((4, 0, 2), torch.rand(3)) for e in supernet.choices}
    weights = {e: torch.zeros(5) for e in supernet.choices}
    for edge, gate in gates.items():
        assert gate.weights is not None
        weights[edge][list(gate.active)] = gate.weights
    expected = by_hand(supernet, images, weights, dict.fromkeys(weights, 1.0))
    torch.testing.assert_close(supernet(images, gates), expected, atol=1e-5, rtol=0)


def test_gradients_reach_the_weights_of_gates() -> None:
    supernet, images = make(), torch.randn(3, *SIZES["input_shape"])
    logits = {e: torch.zeros(5, requires_grad=True) for e in supernet.choices}
    gates = {e: Gate(tuple(range(5)), logits[e].softmax(0)) for e in logits}
    supernet(images, gates).square().sum().backward()
    for edge, logit in logits.items():
        assert logit.grad is not None, edge
        assert logit.grad.abs().max() > 0, edge


@pytest.mark.parametrize("stride", [1, 2])
def test_partial_channels_pass_one_of_two(stride: int) -> None:
    names = ("none", "skip_connect", "nor_conv_3x3", "avg_pool_3x3")
    choices = {name: make_operation(name, 4, 4, stride) for name in names}
    board = GateBoard()
    mixed = MixedOperation("edge", choices, board, partial_channels=2, stride=stride)
    weights, scale, x = torch.rand(4), torch.rand(()), torch.randn(2, 8, 5, 6)
    board.gates = {"edge": Gate((0, 1, 2, 3), weights, scale)}
    first = sum(w * m(x[:, :4]) for w, m in zip(weights, choices.values(), strict=True))
    rest = x[:, 4:]
    if stride == 2:  # The last row has no partner.
        padded = nn.functional.pad(rest, (0, 0, 0, 1), value=-torch.inf)
        rest = padded.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))
    # A shuffle of two groups takes one channel of each in turn.
    expected = torch.stack([t[:, c] for c in range(4) for t in (first, rest)], dim=1)
    torch.testing.assert_close(mixed(x), scale * expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("partial_channels", [1, 2])
def test_no_active_choice_is_zero(partial_channels: int) -> None:
    board = GateBoard()
    width = 4 // partial_channels
    choices = {"nor_conv_3x3": make_operation("nor_conv_3x3", width, width, 2)}
    mixed = MixedOperation("edge", choices, board, partial_channels=partial_channels, stride=2)
    board.gates = {"edge": Gate(())}
    y = mixed(torch.randn(2, 4, 5, 5))
    assert y.shape == (2, 4, 3, 3)
    assert not y.any()


def test_groups_are_the_edges_of_a_node() -> None:
    assert make().gate_groups == (
        ("edge_0_1",),
        ("edge_0_2", "edge_1_2"),
        ("edge_0_3", "edge_1_3", "edge_2_3"),
    )
