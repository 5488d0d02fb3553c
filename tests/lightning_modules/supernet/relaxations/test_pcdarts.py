"""PC-DARTS against the paper's sums written out, and what its edge weights decide."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Supernet
from lightning_modules.supernet.relaxations import Darts
from lightning_modules.supernet.relaxations import FBNet
from lightning_modules.supernet.relaxations import Gdas
from lightning_modules.supernet.relaxations import PartialChannels
from lightning_modules.supernet.relaxations import RELAXATIONS
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace
from optuna_nas import DartsSpace
from optuna_nas import SearchSpace
from optuna_nas.spaces import choices_of


CELLS = CellSpace(n_nodes=3)
DARTS = DartsSpace(n_nodes=3, operations=("max_pool_3x3", "none", "skip_connect", "sep_conv_3x3"))
SHAPE = (2, 6, 7)
STEP = Step(0, 0.0, 0.1)
SIZES: dict[str, dict[str, Any]] = {
    "cell": {"channels": 8, "cells_per_stage": 1, "stages": 2},
    "darts": {"channels": 8, "cells": 1},
}


def make(space: SearchSpace, **arguments: Any) -> tuple[Supernet, PartialChannels]:
    """Return a supernet with K = 4, and a relaxation far from its start."""
    torch.manual_seed(0)
    arguments = {**PartialChannels.supernet_arguments, **SIZES[space.name], **arguments}
    supernet = build_supernet(space, Classification(3), input_shape=SHAPE, **arguments)
    relaxation = PartialChannels(supernet)
    with torch.no_grad():
        for parameter in relaxation.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return supernet, relaxation


def edge_by_hand(choices: list[nn.Module], weights: Tensor, x: Tensor, stride: int) -> Tensor:
    """Compute equation 2 of the paper with K = 4, and the shuffle of its channels."""
    n = x.shape[1] // 4
    mixed = sum(w * operation(x[:, :n]) for w, operation in zip(weights, choices, strict=True))
    rest = F.max_pool2d(x[:, n:], stride, ceil_mode=True) if stride > 1 else x[:, n:]
    joined = torch.cat([mixed, rest], dim=1)
    groups = [joined[:, k * n : (k + 1) * n] for k in range(4)]
    return torch.stack([group[:, c] for c in range(n) for group in groups], dim=1)


def node_by_hand(
    relaxation: PartialChannels,
    names: list[str],
    edges: nn.ModuleDict,
    nodes: list[Tensor],
    strides: list[int],
    prefix: str,
) -> Tensor:
    """Compute equation 3 for the node of the named edges."""
    group = [prefix + name for name in names]
    (logits,) = (
        relaxation.edge_logits[k]
        for k in range(len(relaxation.edge_logits))
        if list(relaxation._groups[k]) == group
    )
    total: Any = 0.0
    for k, name in enumerate(names):
        share = logits[k].exp() / sum(logit.exp() for logit in logits)
        alphas = relaxation.logits[prefix + name]
        weights = torch.stack([a.exp() / sum(b.exp() for b in alphas) for a in alphas])
        source = int(name.split("_")[1])
        choices = list(edges[name].choices.values())
        total = total + share * edge_by_hand(choices, weights, nodes[source], strides[k])
    return total


def test_a_network_of_cells_is_the_paper_s_sum() -> None:
    supernet, relaxation = make(CELLS)
    supernet.eval()
    images = torch.randn(3, *SHAPE)
    network = supernet.network.backbone
    x = network.stem(images)
    for i in (0, 1, 2):
        if i == 1:
            x = network.cells[1](x)
            continue
        edges, nodes = network.cells[i].edges, [x]
        for names in (["edge_0_1"], ["edge_0_2", "edge_1_2"]):
            strides = [1] * len(names)
            nodes.append(node_by_hand(relaxation, names, edges, nodes, strides, ""))
        x = nodes[2]
    expected = supernet.network.head(torch.relu(network.norm(x)).mean(dim=(2, 3)))
    found = supernet(images, relaxation.gates(supernet, STEP, 0))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_reduction_cell_is_the_paper_s_sum() -> None:
    supernet, relaxation = make(DARTS)
    supernet.eval()
    images = torch.randn(3, *SHAPE)
    network = supernet.network.backbone
    cell, stem = network.cells[0], network.stem(images)
    nodes = [cell.preprocess_0(stem), cell.preprocess_1(stem)]
    for target in (2, 3, 4):
        names = [f"edge_{i}_{target}" for i in range(target)]
        strides = [2, 2, 1, 1][:target]
        nodes.append(node_by_hand(relaxation, names, cell.edges, nodes, strides, "reduce_"))
    expected = supernet.network.head(torch.cat(nodes[2:], dim=1).mean(dim=(2, 3)))
    found = supernet(images, relaxation.gates(supernet, STEP, 0))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("space", [CELLS, DARTS], ids=["cell", "darts"])
def test_edge_weights_of_a_node_sum_to_1(space: SearchSpace) -> None:
    supernet, relaxation = make(space)
    weights = relaxation.edge_weights()
    assert weights.keys() == supernet.choices.keys()
    for group in supernet.gate_groups:
        assert sum(float(weights[name].detach()) for name in group) == pytest.approx(1, abs=1e-6)
    gates = relaxation.gates(supernet, STEP, 0)
    for name, gate in gates.items():
        assert gate.scale is not None
        assert torch.equal(gate.scale, weights[name])


@pytest.mark.parametrize("seed", range(5))
def test_the_strength_of_an_edge_is_the_product_of_both_weights(seed: int) -> None:
    supernet, relaxation = make(DARTS)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in relaxation.parameters():
            parameter.copy_(torch.from_numpy(rng.standard_normal(parameter.shape)))
    expected: dict[str, str] = {"concat": "all"}
    shares: dict[str, list[float]] = {}
    for group, logits in zip(supernet.gate_groups, relaxation.edge_logits, strict=True):
        products = []
        for k, name in enumerate(group):
            softmax = (relaxation.logits[name].softmax(0) * logits.softmax(0)[k]).detach()
            products.append([float(p) for p in softmax[[0, 2, 3]]])
        strengths = [max(p) for p in products]
        best = sorted(sorted(range(len(group)), key=lambda i: -strengths[i])[:2])
        node = f"{group[0].split('_')[0]}_{group[0].split('_')[-1]}"
        expected[f"{node}_inputs"] = f"{best[0]}-{best[1]}"
        for place, i in enumerate(best, start=1):
            operations = ("max_pool_3x3", "skip_connect", "sep_conv_3x3")
            expected[f"{node}_op_{place}"] = operations[int(np.argmax(products[i]))]
        pairs = [a * b for a, b in combinations(strengths, 2)]
        shares[f"{node}_inputs"] = [p / sum(pairs) for p in pairs]
    probabilities = relaxation.probabilities()
    assert dict(supernet.derive(probabilities)) == expected
    found = supernet.decision_probabilities(probabilities)
    for name, share in shares.items():
        assert found[name].tolist() == pytest.approx(share, abs=1e-6)


def test_edge_weights_can_turn_the_choice_of_inputs() -> None:
    supernet, relaxation = make(DARTS)
    chosen = []
    for best in ([5.0, 5.0, 0.0], [0.0, 5.0, 5.0]):
        with torch.no_grad():
            for group, logits in zip(supernet.gate_groups, relaxation.edge_logits, strict=True):
                if group[0] == "normal_edge_0_3":
                    logits.copy_(torch.tensor(best))
        chosen.append(supernet.derive(relaxation.probabilities())["normal_3_inputs"])
    assert chosen == ["0-1", "1-2"]


def test_edge_weights_do_not_change_the_choice_of_an_operation() -> None:
    supernet, relaxation = make(CELLS)
    before = relaxation.probabilities()
    with torch.no_grad():
        for logits in relaxation.edge_logits:
            logits.copy_(10 * torch.randn(logits.shape))
    for name, values in relaxation.probabilities().items():
        assert values.tolist() == before[name].tolist()
        assert values.tolist() == pytest.approx(relaxation.logits[name].softmax(0).tolist())


@pytest.mark.parametrize("space", [CELLS, DARTS], ids=["cell", "darts"])
def test_probabilities_are_probabilities(space: SearchSpace) -> None:
    supernet, relaxation = make(space)
    for name, values in relaxation.probabilities().items():
        assert values.shape == (len(supernet.choices[name]),)
        assert float(values.detach().sum()) == pytest.approx(1, abs=1e-6)
        assert float(values.detach().min()) >= 0


@pytest.mark.parametrize("space", [CELLS, DARTS], ids=["cell", "darts"])
def test_steps_give_gradients_to_what_they_train(space: SearchSpace) -> None:
    arguments = {"cells": 2} if space is DARTS else {}
    supernet, relaxation = make(space, **arguments)
    batch = Samples(torch.randn(4, *SHAPE), torch.tensor([0, 1, 2, 0]))
    relaxation.weight_step(supernet, batch, STEP, lambda loss: loss.backward())
    assert all(parameter.grad is None for parameter in relaxation.parameters())
    assert any(p.grad is not None and p.grad.any() for p in supernet.parameters())
    relaxation.architecture_step(supernet, batch, batch, STEP, lambda loss: loss.backward())
    for group, logits in zip(supernet.gate_groups, relaxation.edge_logits, strict=True):
        if group[0].startswith("normal"):  # A network of two cells has reduction cells alone.
            continue
        assert logits.grad is not None
        assert len(group) == 1 or logits.grad.any()


def test_costs_see_the_weights_of_edges() -> None:
    seen: list[dict[str, Tensor]] = []

    def cost(probabilities: Any) -> Tensor:
        seen.append(probabilities)
        return probabilities["normal_3_inputs"][0]

    supernet, _ = make(DARTS)
    relaxation = PartialChannels(supernet, costs=(cost,))
    batch = Samples(torch.randn(4, *SHAPE), torch.tensor([0, 1, 2, 0]))
    relaxation.architecture_step(supernet, batch, batch, STEP, lambda loss: loss.backward())
    n = len(choices_of(DARTS.distributions["normal_3_inputs"]))
    assert seen[0]["normal_3_inputs"].shape == (n,)
    (logits,) = (
        e
        for g, e in zip(supernet.gate_groups, relaxation.edge_logits, strict=True)
        if g[0] == "normal_edge_0_3"
    )
    assert logits.grad is not None
    assert logits.grad.any()  # The only cell is a reduction cell: this is from the cost.


def test_same_seed_same_start() -> None:
    supernet, _ = make(DARTS)
    states = [PartialChannels(supernet, seed=seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not any(torch.equal(states[0][name], states[2][name]) for name in states[0])
    assert {"edge_logits.0", "logits.normal_edge_0_2"} <= set(states[0])


def test_a_supernet_of_all_channels_is_refused() -> None:
    supernet = build_supernet(CELLS, Classification(3), input_shape=SHAPE, channels=4)
    with pytest.raises(ValueError, match=r"^Expected argument `supernet`.*without partial chann"):
        PartialChannels(supernet)


def test_names_and_arguments() -> None:
    assert RELAXATIONS.get("pcdarts") is PartialChannels
    assert dict(PartialChannels.supernet_arguments) == {"affine": False, "partial_channels": 4}
    for relaxation in (Darts, Gdas, FBNet):
        assert dict(relaxation.supernet_arguments) == {"affine": False}
    assert not dict(RELAXATIONS.get("spos").supernet_arguments)
