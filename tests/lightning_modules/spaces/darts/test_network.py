"""Networks of normal and reduction cells: published sizes, shapes, and what equal keys promise."""

from __future__ import annotations

import functools

import numpy as np
import optuna
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lightning_modules import build_darts_backbone
from lightning_modules import CELL_OPERATIONS
from lightning_modules import Classification
from lightning_modules import count_macs
from lightning_modules import count_params
from lightning_modules import DartsCell
from lightning_modules import TrainingEvaluator
from lightning_modules.data import DigitsDataModule
from lightning_modules.spaces.darts.operations import FactorizedConv
from lightning_modules.spaces.darts.operations import SeparableConv
from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import DartsSpace
from optuna_nas.spaces import AMOEBANET_A
from optuna_nas.spaces import darts_cells
from optuna_nas.spaces import DARTS_OPERATIONS
from optuna_nas.spaces import DARTS_V2
from optuna_nas.spaces import NASNET_A
from optuna_nas.spaces import NASNET_OPERATIONS


SPACE = DartsSpace()
NASNET = DartsSpace.nasnet()


def on_meta(architecture: Architecture, channels: int, cells: int) -> nn.Module:
    with torch.device("meta"):
        backbone = build_darts_backbone(
            architecture, input_shape=(3, 32, 32), channels=channels, cells=cells
        )
        return Classification(10).network(backbone)


# Sizes.


def test_darts_v2_has_the_published_parameters() -> None:
    """Liu et al., ICLR 2019, table 1: 3.3M, without the auxiliary head."""
    network = on_meta(SPACE.from_string(DARTS_V2), 36, cells=20)
    assert count_params(network) / 1e6 == pytest.approx(3.3, rel=0.02)
    assert 500e6 < count_macs(network, (3, 32, 32)) < 550e6


def params_of(operation: str, channels: int, *, reduces: bool) -> int:
    """Count by hand; normalisation has two parameters a channel."""
    kind, *_, size = operation.split("_")
    k = int(size[0]) if size[0].isdigit() else 0
    if kind == "sep":
        return 2 * (k * k * channels + channels**2 + 2 * channels)
    if kind == "dil":
        return k * k * channels + channels**2 + 2 * channels
    if operation == "conv_7x1_1x7":
        return 14 * channels**2 + 2 * channels
    return channels**2 + 2 * channels if kind == "skip" and reduces else 0


@pytest.mark.parametrize(
    ("space", "text"),
    [(SPACE, DARTS_V2), (NASNET, NASNET_A), (NASNET, AMOEBANET_A)],
    ids=["darts", "nasnet", "amoebanet"],
)
def test_parameters_of_published_cells_by_hand(space: DartsSpace, text: str) -> None:
    architecture = space.from_string(text)
    genotypes = darts_cells(architecture)
    channels, older, newer = 36, 108, 108
    expected = 27 * 108 + 2 * 108
    for i in range(20):
        reduces = i in (6, 13)
        channels *= 2 if reduces else 1
        genotype = genotypes["reduce" if reduces else "normal"]
        expected += (older + newer) * channels + 4 * channels
        for edges in genotype.nodes:
            for operation, source in edges:
                expected += params_of(operation, channels, reduces=reduces and source < 2)
        older, newer = newer, channels * len(genotype.concat)
    expected += 10 * newer + 10
    assert count_params(on_meta(architecture, 36, cells=20)) == expected


# Operations.


def test_every_published_operation_can_be_built() -> None:
    assert set(DARTS_OPERATIONS) | set(NASNET_OPERATIONS) <= set(CELL_OPERATIONS)


@pytest.mark.parametrize("name", CELL_OPERATIONS)
@pytest.mark.parametrize(("channels_in", "channels_out"), [(4, 4), (3, 6)])
@pytest.mark.parametrize("stride", [1, 2])
def test_shape_and_gradient(name: str, channels_in: int, channels_out: int, stride: int) -> None:
    for size in [(8, 8), (7, 5), (1, 1)]:
        x = torch.randn(2, channels_in, *size, requires_grad=True)
        before = x.detach().clone()
        y = CELL_OPERATIONS[name](channels_in, channels_out, stride)(x)
        assert y.shape == (2, channels_out, -(-size[0] // stride), -(-size[1] // stride))
        y.sum().backward()
        assert x.grad is not None
        assert torch.equal(x, before)  # The input is shared by edges.


def test_separable_convolution_by_hand() -> None:
    operation = CELL_OPERATIONS["dil_conv_3x3"](2, 3)
    assert isinstance(operation, SeparableConv)
    weights = dict(operation.named_parameters())
    x = torch.randn(4, 2, 9, 9)
    names = ("depthwise", "pointwise")
    depthwise, pointwise = (weights[f"units.unit_1.{name}.weight"] for name in names)
    y = F.conv2d(x.clamp(min=0), depthwise, padding=2, dilation=2, groups=2)
    expected = F.batch_norm(F.conv2d(y, pointwise), None, None, training=True)
    torch.testing.assert_close(operation(x), expected)
    twice = CELL_OPERATIONS["sep_conv_5x5"](4, 4)
    assert count_params(twice) == 2 * (25 * 4 + 4 * 4 + 8)


def test_factorized_convolution_by_hand() -> None:
    operation = CELL_OPERATIONS["conv_7x1_1x7"](4, 4, 2)
    assert isinstance(operation, FactorizedConv)
    assert operation.row.weight.shape == (4, 4, 1, 7)
    assert operation.column.weight.shape == (4, 4, 7, 1)
    assert count_params(operation) == 2 * 7 * 16 + 8


def test_affine_false_leaves_normalisation_without_weights() -> None:
    for name in ("sep_conv_3x3", "dil_conv_5x5", "conv_7x1_1x7"):
        operation = CELL_OPERATIONS[name](4, 4, affine=False)
        assert all(parameter.ndim == 4 for parameter in operation.parameters())


# Networks.


@pytest.mark.parametrize("input_shape", [(1, 8, 8), (3, 15, 9), (1, 28, 28)])
@pytest.mark.parametrize("cells", [1, 2, 3, 5])
def test_any_member_maps_images_to_features(input_shape: tuple[int, int, int], cells: int) -> None:
    rng = np.random.default_rng(cells)
    for space in (SPACE, NASNET, DartsSpace(concat="loose", distinct=False)):
        backbone = build_darts_backbone(
            space.sample(rng), input_shape=input_shape, channels=4, cells=cells
        )
        images = torch.randn(2, *input_shape)
        features = backbone(images)
        assert features.shape == (2, backbone.n_features)
        shapes = [tuple(x.shape[1:2]) + tuple(x.shape[2:]) for x in backbone.feature_maps(images)]
        assert shapes == [
            (channels, *(-(-side // stride) for side in input_shape[1:]))
            for channels, stride in backbone.maps
        ]
        features.sum().backward()
        assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_where_the_reductions_are() -> None:
    network = build_darts_backbone(
        SPACE.from_string(DARTS_V2), input_shape=(1, 9, 9), channels=4, cells=6
    )
    shapes: list[torch.Size] = []
    for cell in network.cells:
        cell.register_forward_hook(lambda module, args, output: shapes.append(output.shape[1:]))
    network(torch.randn(2, 1, 9, 9))
    assert [tuple(shape) for shape in shapes] == [
        (16, 9, 9),
        (16, 9, 9),
        (32, 5, 5),
        (32, 5, 5),
        (64, 3, 3),
        (64, 3, 3),
    ]


def test_names_are_stable() -> None:
    network = build_darts_backbone(
        NASNET.from_string(NASNET_A), input_shape=(1, 8, 8), channels=4, cells=3
    )
    names = {name for name, _ in network.named_parameters()}
    assert "cells.0.edges.edge_0_2.units.unit_2.norm.weight" in names
    assert "cells.0.edges.edge_0_3_b.units.unit_1.depthwise.weight" in names
    assert {"stem.conv.weight", "cells.1.preprocess_0.conv.weight"} <= names


def test_what_cannot_be_built() -> None:
    build = functools.partial(build_darts_backbone, input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match="decisions like `normal_2_inputs` but got Arch"):
        build(Architecture("darts", {}))
    own = DartsSpace(n_nodes=1, operations=("conv_9x9",))
    with pytest.raises(ValueError, match=r"operations of \['none', .* but got 'conv_9x9'"):
        build(own.complete({}))
    for name in ("channels", "cells"):
        with pytest.raises(ValueError, match=f"`{name}` to be at least 1 but got 0"):
            build(SPACE.complete({}), **{name: 0})  # type: ignore[arg-type]


# What equal canonical keys promise.


def build_cell(nodes: str, *, reduction: bool) -> DartsCell:
    """Build a single cell from nodes like ``sep_conv_3x3 0 skip_connect 1; ...``."""
    listed = [node.split() for node in nodes.split(";")]
    edges = ",".join(f"('{words[i]}',{words[i + 1]})" for words in listed for i in (0, 2))
    concat = f"range(2,{len(listed) + 2})"
    architecture = DartsSpace(n_nodes=len(listed)).from_string(
        f"Genotype(normal=[{edges}],normal_concat={concat},"
        f"reduce=[{edges}],reduce_concat={concat})"
    )
    network = build_darts_backbone(architecture, input_shape=(3, 9, 9), channels=4, cells=4)
    cell = network.cells[1 if reduction else 0]
    assert isinstance(cell, DartsCell)
    return cell.eval()


@pytest.mark.parametrize(
    ("one", "other", "twins", "order"),
    [
        (
            "sep_conv_3x3 0 max_pool_3x3 1; dil_conv_5x5 0 skip_connect 2",
            "max_pool_3x3 1 sep_conv_3x3 0; skip_connect 2 dil_conv_5x5 0",
            {},
            [0, 1],
        ),
        (
            "sep_conv_3x3 0 dil_conv_3x3 1; sep_conv_5x5 0 max_pool_3x3 1; none 0 skip_connect 2",
            "sep_conv_5x5 0 max_pool_3x3 1; sep_conv_3x3 0 dil_conv_3x3 1; none 1 skip_connect 3",
            {"edge_0_2": "edge_0_3", "edge_1_3": "edge_1_2", "edge_0_3": "edge_0_2"},
            [1, 0, 2],
        ),
        (
            "none 0 none 1; max_pool_3x3 2 sep_conv_3x3 1",
            "none 0 none 1; none 0 sep_conv_3x3 1",
            {},
            [0, 1],
        ),
    ],
)
@pytest.mark.parametrize("reduction", [False, True])
def test_equal_keys_are_equal_functions(
    one: str, other: str, twins: dict[str, str], order: list[int], reduction: bool
) -> None:
    """``twins`` has the edge of one for each edge of the other, ``order`` the nodes likewise."""
    first, second = (build_cell(nodes, reduction=reduction) for nodes in (one, other))
    for parameter in first.parameters():
        nn.init.normal_(parameter)
    second.preprocess_0.load_state_dict(first.preprocess_0.state_dict())
    second.preprocess_1.load_state_dict(first.preprocess_1.state_dict())
    for name, module in second.edges.items():
        if list(module.parameters()):
            module.load_state_dict(first.edges[twins.get(name, name)].state_dict())
    # The cell before has the stem's 12 channels, or 4 of each node.
    inputs = [torch.randn(2, 12, 9, 9), torch.randn(2, 4 * len(order) if reduction else 12, 9, 9)]
    with torch.inference_mode():
        mine, its = first(*inputs), second(*inputs)
    blocks = its.chunk(len(order), dim=1)
    torch.testing.assert_close(mine, torch.cat([blocks[i] for i in order], dim=1))


# In a search.


def test_a_search_with_the_training_evaluator() -> None:
    space = DartsSpace(n_nodes=2)
    build = Classification(10).builder(
        functools.partial(build_darts_backbone, input_shape=(1, 8, 8), channels=8, cells=2)
    )
    evaluator = TrainingEvaluator(
        build, DigitsDataModule(batch_size=32), metrics=("val_accuracy", "params")
    )
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    separable = {name: "sep_conv_3x3" for name in space.distributions if "_op_" in name}
    study.enqueue_trial(dict(space.complete(separable)))
    study.optimize(ArchitectureObjective(space, evaluator), n_trials=2)
    assert study.best_value > 0.3
    best = space.architecture(study.best_params)
    assert study.best_trial.user_attrs["metrics"]["params"] == count_params(build(best))
