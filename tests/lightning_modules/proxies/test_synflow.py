"""The proxy synflow against a slow and obvious computation on a tiny network."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules import build_cell_backbone
from lightning_modules import Classification
from lightning_modules.proxies import synflow
from optuna_nas import CellSpace
from tests.lightning_modules.proxies.by_hand import derivatives
from tests.lightning_modules.proxies.by_hand import flattened


def test_synflow(network: nn.Sequential, images: Tensor) -> None:
    first, _, _, second, _, _, last = (copy.deepcopy(layer) for layer in network)
    weights = [first.weight, second.weight, last.weight]
    with torch.no_grad():
        for parameter in [*weights, second.bias, last.bias]:
            parameter.abs_()

    def flow() -> Tensor:
        # Neither normalisation nor ReLU: nothing is negative.
        return last(second(first(torch.ones(1, 1, 4, 4).double())).flatten(1)).sum()

    # Linear in each weight, so that differences are exact.
    expected = np.abs(flattened(weights) * derivatives(flow, weights, 0.1)).sum()
    assert synflow(network, images) == pytest.approx(expected, rel=1e-9)


def test_synflow_of_paths_by_hand() -> None:
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)
    )
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.0]]))
        network[3].weight.copy_(torch.tensor([[-5.0, 7.0]]))
    # Each path of two weights counts once for each of the two.
    assert synflow(network, torch.zeros(2, 1, 1, 2)) == 2 * (1 * 5 + 2 * 5 + 3 * 7)


@pytest.mark.parametrize("weight", [-10.0, -0.1])
def test_synflow_beyond_float32(weight: float) -> None:
    layers = [nn.Linear(1, 1, bias=False) for _ in range(50)]
    for layer in layers:
        nn.init.constant_(layer.weight, weight)
    network = nn.Sequential(nn.Flatten(), *layers)
    found = synflow(network, torch.zeros(2, 1, 1, 1))
    assert found == pytest.approx(50 * abs(weight) ** 50, rel=1e-5, abs=0.0)


def test_synflow_of_a_deep_network_in_either_precision() -> None:
    cell = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|none~2|"
    backbone = build_cell_backbone(
        CellSpace().from_string(cell), input_shape=(1, 8, 8), channels=4
    )
    network = Classification(3).network(backbone)
    images = torch.zeros(2, 1, 8, 8)
    found = synflow(network, images)
    assert found > 1e10
    assert found == pytest.approx(synflow(network.double(), images.double()), rel=1e-4)


def test_synflow_passes_normalisation_and_the_bound_of_relu6() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 1, 1, bias=False),
        nn.BatchNorm2d(1),
        nn.ReLU6(),
        nn.GroupNorm(1, 1),
        nn.Flatten(),
        nn.LayerNorm(1),
        nn.Linear(1, 1, bias=False),
    )
    nn.init.constant_(network[0].weight, 100.0)
    nn.init.constant_(network[6].weight, 2.0)
    assert synflow(network, torch.zeros(2, 1, 1, 1)) == 2 * 200.0
