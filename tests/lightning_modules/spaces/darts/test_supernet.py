"""The supernet of DARTS cells: its paths are single networks, its decisions those of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules import build_darts_backbone
from lightning_modules import Classification
from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules.spaces.darts import DartsSupernet
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Gate
from lightning_modules.supernet import inherit_weights
from lightning_modules.supernet.relaxations import Gdas
from lightning_modules.supernet.relaxations import Step
from lightning_modules.supernet.relaxations._base import full_weights
from optuna_nas import Architecture
from optuna_nas import DartsSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.spaces import DARTS_OPERATIONS
from optuna_nas.spaces import DARTS_V2
from optuna_nas.spaces import NASNET_OPERATIONS


SPACE = DartsSpace()
FEW = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
SMALL = DartsSpace(n_nodes=3, operations=FEW)
TASK = Classification(3)
SIZES: dict[str, Any] = {"input_shape": (2, 9, 8), "channels": 2, "cells": 3}
TWINS = DartsSpace(n_nodes=3, operations=FEW, distinct=False)
SPACES: dict[str, SearchSpace] = {
    "whole": SPACE,
    "small": SMALL,
    "frozen": SMALL.freeze(
        {"normal_3_inputs": "1-2", "normal_4_op_1": "none", "reduce_2_op_2": "skip_connect"}
    ),
    "shrunk": SMALL.shrink(
        Prior(SMALL, {"normal_4_inputs": [9, 9, 0, 9, 0, 0], "normal_4_op_1": [0, 1, 1, 1]}),
        keep=0.5,
    ),
    "without none": DartsSpace(n_nodes=2, operations=("sep_conv_5x5", "avg_pool_3x3")),
    "twins": TWINS,
    "nasnet operations": DartsSpace(n_nodes=2, operations=NASNET_OPERATIONS, distinct=False),
}


def make(space: SearchSpace, **arguments: Any) -> DartsSupernet:
    """Return a supernet in which weights, normalisation and statistics are all of their own."""
    torch.manual_seed(0)
    supernet = build_supernet(space, TASK, **{**SIZES, **arguments})
    assert isinstance(supernet, DartsSupernet)
    with torch.no_grad():
        for tensor in supernet.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return supernet


def build(architecture: Architecture) -> torch.nn.Module:
    return TASK.network(build_darts_backbone(architecture, **SIZES))


# Paths.


def assert_path_is_network(
    supernet: DartsSupernet, architecture: Architecture, training: bool
) -> None:
    network = build(architecture)
    inherit_weights(network, supernet, architecture)
    supernet.train(training)
    network.train(training)
    images, path = torch.randn(3, *SIZES["input_shape"]), supernet.path(architecture)
    torch.testing.assert_close(supernet(images, path), network(images), atol=1e-6, rtol=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SPACES)
def test_a_path_is_the_single_network(name: str, training: bool) -> None:
    space, rng = SPACES[name], np.random.default_rng(0)
    supernet = make(space)
    for _ in range(3 if name in ("whole", "nasnet operations") else 6):
        assert_path_is_network(supernet, space.sample(rng), training)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_the_published_cell_is_a_path(affine: bool, training: bool) -> None:
    assert_path_is_network(make(SPACE, affine=affine), SPACE.from_string(DARTS_V2), training)


@pytest.mark.parametrize("cells", [1, 2, 4])
def test_paths_for_other_numbers_of_cells(cells: int) -> None:
    supernet = make(SMALL, cells=cells)
    images = torch.randn(3, *SIZES["input_shape"])
    for architecture in (SMALL.sample(np.random.default_rng(i)) for i in range(4)):
        network = supernet.network_of(architecture)
        path = supernet.path(architecture)
        torch.testing.assert_close(supernet(images, path), network(images), atol=1e-6, rtol=0)


def test_two_paths_differ() -> None:
    supernet, images = make(SMALL).eval(), torch.randn(3, *SIZES["input_shape"])
    first = SMALL.complete({"normal_2_op_1": "sep_conv_3x3"})
    second = SMALL.complete({"normal_2_op_1": "max_pool_3x3"})
    outputs = [supernet(images, supernet.path(a)) for a in (first, second)]
    assert (outputs[0] - outputs[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", SPACES)
def test_inherited_names_and_shapes_are_those_of_the_single_network(name: str) -> None:
    space, rng = SPACES[name], np.random.default_rng(1)
    supernet = make(space)
    for architecture in [space.sample(rng) for _ in range(5)]:
        own = build(architecture).state_dict()
        found = supernet.inherited_state(architecture)
        assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in own.items()}


def test_normalisation_without_learned_weights_leaves_out_its_weights_alone() -> None:
    supernet, architecture = make(SPACE, affine=False), SPACE.from_string(DARTS_V2)
    own = build(architecture)
    found = supernet.inherited_state(architecture)
    norms = {
        f"{name}.{part}"
        for name, module in own.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d) and ".edges." in name
        for part in ("weight", "bias")
    }
    assert norms
    assert set(own.state_dict()) - set(found) == norms


def test_gates_are_shared_by_the_cells_of_a_kind() -> None:
    names = ["edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3"]
    names += [f"edge_{i}_4" for i in range(4)]
    supernet = make(SMALL)
    assert set(supernet.choices) == {f"{k}_{n}" for k in ("normal", "reduce") for n in names}
    assert supernet.choices["normal_edge_1_3"] == FEW
    assert ("reduce_edge_0_3", "reduce_edge_1_3", "reduce_edge_2_3") in supernet.gate_groups
    assert sorted(sum(supernet.gate_groups, ())) == sorted(supernet.choices)
    # The inputs of the first node are never left out.
    assert set(supernet.choices) - set(supernet.absent) == {
        f"{k}_edge_{i}_2" for k in ("normal", "reduce") for i in (0, 1)
    }


def test_an_edge_that_need_not_be_has_the_choice_none() -> None:
    supernet = make(SPACES["without none"])
    assert supernet.choices["normal_edge_0_2"] == ("sep_conv_5x5", "avg_pool_3x3")
    assert supernet.choices["normal_edge_0_3"] == ("none", "sep_conv_5x5", "avg_pool_3x3")
    assert supernet.absent["normal_edge_0_3"] == 0


def test_soft_gates_are_the_weighted_sum() -> None:
    supernet = make(SMALL, cells=1).eval()  # The only cell is a reduction cell.
    weights = {gate: torch.rand(4) for gate in supernet.choices}
    gates = {name: Gate((0, 1, 2, 3), w) for name, w in weights.items()}
    images = torch.randn(3, *SIZES["input_shape"])
    backbone = supernet.network.backbone
    cell, stem = backbone.cells[0], backbone.stem(images)
    nodes = [cell.preprocess_0(stem), cell.preprocess_1(stem)]
    for target in (2, 3, 4):
        terms = [
            weights[f"reduce_edge_{i}_{target}"][k] * operation(nodes[i])
            for i in range(target)
            for k, operation in enumerate(cell.edges[f"edge_{i}_{target}"].choices.values())
        ]
        nodes.append(torch.stack(terms).sum(dim=0))
    pooled = torch.cat(nodes[2:], dim=1).mean(dim=(2, 3))
    expected = supernet.network.head(pooled)
    torch.testing.assert_close(supernet(images, gates), expected, atol=1e-5, rtol=0)


# Refusals.


def test_loose_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^Expected argument `space` to join all nodes .*loose"):
        make(DartsSpace.nasnet())


def test_unknown_operations_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^Expected argument `space` to have operations .*warp"):
        make(DartsSpace(operations=("none", "warp")))


def test_partial_channels_refuse_inheritance() -> None:
    supernet = make(SMALL, partial_channels=2, channels=4)
    with pytest.raises(ValueError, match=r"^Expected a supernet with `partial_channels=1`.* 2\.$"):
        supernet.network_of(SMALL.sample(np.random.default_rng(0)))


def test_members_of_another_space_are_refused() -> None:
    supernet = make(SPACES["frozen"])
    stranger = SMALL.complete({"normal_3_inputs": "0-1"})
    for method in (supernet.path, supernet.inherited_state):
        with pytest.raises(ValueError, match="normal_3_inputs"):
            method(stranger)


# Decisions.


def random_gates(supernet: DartsSupernet, seed: int) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    return {
        name: torch.from_numpy(rng.dirichlet(np.ones(len(choices))))
        for name, choices in supernet.choices.items()
    }


def expected_decisions(
    gates: Mapping[str, Tensor], operations: tuple[str, ...], n_nodes: int
) -> dict[str, list[float]]:
    """Compute the documented formula with loops, for a whole space of distinct inputs."""
    found: dict[str, list[float]] = {}
    none = operations.index("none")
    for kind in ("normal", "reduce"):
        for node in range(2, n_nodes + 2):
            edges = [gates[f"{kind}_edge_{i}_{node}"].tolist() for i in range(node)]
            strengths = [max(p for k, p in enumerate(e) if k != none) for e in edges]
            pairs = list(combinations(range(node), 2))
            raw = [strengths[a] * strengths[b] for a, b in pairs]
            shares = [value / sum(raw) for value in raw]
            found[f"{kind}_{node}_inputs"] = shares
            for place in (0, 1):
                total = [0.0] * len(operations)
                for share, pair in zip(shares, pairs, strict=True):
                    edge = edges[pair[place]]
                    for k, p in enumerate(edge):
                        total[k] += 0 if k == none else share * p / (1 - edge[none])
                found[f"{kind}_{node}_op_{place + 1}"] = total
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_decision_probabilities_are_the_documented_formula(seed: int) -> None:
    supernet = make(SPACE)
    gates = random_gates(supernet, seed)
    expected = expected_decisions(gates, DARTS_OPERATIONS, 4)
    found = supernet.decision_probabilities(gates)
    assert found.keys() == expected.keys() == set(SPACE.distributions) - {"concat"}
    for name, values in found.items():
        np.testing.assert_allclose(values.numpy(), expected[name], atol=1e-12)


@pytest.mark.parametrize("name", SPACES)
def test_decision_probabilities_sum_to_1(name: str) -> None:
    supernet = make(SPACES[name])
    for seed in range(3):
        gates = {n: p.requires_grad_() for n, p in random_gates(supernet, seed).items()}
        found = supernet.decision_probabilities(gates)
        for decision, values in found.items():
            n = len(supernet.space.distributions[decision].choices)  # type: ignore[attr-defined]
            assert values.shape == (n,)
            assert float(values.sum().detach()) == pytest.approx(1, abs=1e-9)
        supernet.prior(gates)
        sum(v.square().sum() for v in found.values()).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in gates.values())


def without_none(space: SearchSpace, architecture: Architecture) -> Architecture:
    """Replace ``none``, which looks like an edge that is not chosen, by the last choice."""
    choices = {name: d.choices for name, d in space.distributions.items()}  # type: ignore[attr-defined]
    return space.architecture(
        {name: choices[name][-1] if c == "none" else c for name, c in architecture.items()}
    )


@pytest.mark.parametrize("name", ["small", "shrunk", "twins", "without none"])
def test_one_hot_edges_give_that_architecture(name: str) -> None:
    space, rng = SPACES[name], np.random.default_rng(3)
    supernet = make(space)
    for _ in range(10):
        architecture = without_none(space, space.sample(rng))
        gates: dict[str, Tensor] = {}
        for gate, (active, _, _) in supernet.path(architecture).items():
            index = active[0] if active else supernet.absent[gate]
            gates[gate] = torch.eye(len(supernet.choices[gate]))[index]
        found = supernet.decision_probabilities(gates)
        for decision, values in found.items():
            choices = space.distributions[decision].choices  # type: ignore[attr-defined]
            assert values.tolist() == pytest.approx(
                [float(c == architecture[decision]) for c in choices], abs=1e-6
            )
        assert supernet.derive(gates) == architecture


def test_derive_takes_the_two_strongest_edges() -> None:
    supernet = make(SMALL)
    even = torch.tensor([0.4, 0.2, 0.2, 0.2])
    gates = dict.fromkeys(supernet.choices, even)
    # None is the likeliest on all edges of node 4, and does not count: 0 has 0.25, 1 has 0.3,
    # 2 has 0.22 and 3 has 0.31.
    gates["normal_edge_0_4"] = torch.tensor([0.5, 0.25, 0.15, 0.1])
    gates["normal_edge_1_4"] = torch.tensor([0.6, 0.05, 0.3, 0.05])
    gates["normal_edge_2_4"] = torch.tensor([0.4, 0.22, 0.2, 0.18])
    gates["normal_edge_3_4"] = torch.tensor([0.45, 0.14, 0.1, 0.31])
    # Two ends of one strength: the edges 1 and 2 beat 0.
    gates["reduce_edge_0_3"] = torch.tensor([0.0, 0.4, 0.3, 0.3])
    gates["reduce_edge_1_3"] = torch.tensor([0.4, 0.6, 0.0, 0.0])
    gates["reduce_edge_2_3"] = torch.tensor([0.3, 0.0, 0.1, 0.6])
    derived = supernet.derive(gates)
    node = {d: derived[d] for d in derived if d.startswith(("normal_4", "reduce_3"))}
    assert node == {
        "normal_4_inputs": "1-3",
        "normal_4_op_1": "skip_connect",
        "normal_4_op_2": "sep_conv_3x3",
        "reduce_3_inputs": "1-2",
        "reduce_3_op_1": "max_pool_3x3",
        "reduce_3_op_2": "sep_conv_3x3",
    }


@pytest.mark.parametrize("seed", range(5))
def test_derive_agrees_with_sorting_the_edges(seed: int) -> None:
    supernet = make(SPACE)
    gates = random_gates(supernet, seed)
    expected: dict[str, Any] = {"concat": "all"}
    for kind in ("normal", "reduce"):
        for node in range(2, 6):
            edges = [gates[f"{kind}_edge_{i}_{node}"].numpy()[1:] for i in range(node)]
            best = sorted(sorted(range(node), key=lambda i: -edges[i].max())[:2])
            expected[f"{kind}_{node}_inputs"] = "-".join(map(str, best))
            for place, source in enumerate(best, start=1):
                operation = DARTS_OPERATIONS[1 + int(edges[source].argmax())]
                expected[f"{kind}_{node}_op_{place}"] = operation
    assert dict(supernet.derive(gates)) == expected


def test_sampled_gates_have_finite_gradients_through_the_expected_latency() -> None:
    supernet = make(SMALL)
    table = LatencyTable("darts", SMALL.distributions, {"task": TASK, **SIZES}, {})
    for k, (_, name) in enumerate(table.operations):
        table.record(name, Latency(1.0 + k, 0.0))
    relaxation = Gdas(supernet)
    for number in range(5):
        gates = relaxation.gates(supernet, Step(number, 0.5, 0.1), 1)
        found = supernet.decision_probabilities(full_weights(supernet, gates))
        table.expected_ms(found).backward()
    gradients = [logits.grad for logits in relaxation.logits.values()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert any(g is not None and g.any() for g in gradients)


def test_the_expected_latency_of_certain_edges_is_that_of_their_architecture() -> None:
    supernet = make(SMALL)
    table = LatencyTable("darts", SMALL.distributions, {"task": TASK, **SIZES}, {})
    for k, (_, name) in enumerate(table.operations):
        table.record(name, Latency(1.0 + k, 0.0))
    architecture = without_none(SMALL, SMALL.sample(np.random.default_rng(7)))
    gates = {
        gate: torch.eye(4)[active[0] if active else supernet.absent[gate]]
        for gate, (active, _, _) in supernet.path(architecture).items()
    }
    expected = table.expected_ms(supernet.decision_probabilities(gates))
    assert float(expected) == pytest.approx(table.predict_ms(architecture), rel=1e-5)
