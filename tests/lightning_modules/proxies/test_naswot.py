"""The proxy naswot against a slow and obvious computation on a tiny network."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.proxies import naswot
from tests.lightning_modules.proxies.by_hand import make_network


def codes_of(layers: list[nn.Module], images: Tensor) -> list[list[bool]]:
    """The signs in front of each ReLU, by image."""
    codes: list[list[bool]] = [[] for _ in images]
    x = images
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            for code, values in zip(codes, x.flatten(1).tolist(), strict=True):
                code += [value > 0 for value in values]
        x = layer(x)
    return codes


class Functional(nn.Module):
    """The same activation called in four ways, one of them on the input of two others."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.module = nn.ReLU(inplace=way == "module in place")

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        if self.way.startswith("module"):
            return self.module(x)
        return torch.relu(x) if self.way == "torch" else F.relu(x, inplace=True)


def test_naswot(network: nn.Sequential, images: Tensor) -> None:
    codes = codes_of(list(make_network(inplace=False)), images)
    kernel = np.zeros((5, 5))
    for i, j in itertools.product(range(5), range(5)):
        distance = sum(a != b for a, b in zip(codes[i], codes[j], strict=True))
        kernel[i, j] = len(codes[i]) - distance
    assert len(codes[0]) == 3 * 16 + 2 * 4
    assert naswot(network, images) == pytest.approx(math.log(np.linalg.det(kernel)), rel=1e-9)


@pytest.mark.parametrize("way", ["module in place", "torch", "functional in place"])
def test_naswot_sees_activations_however_they_are_called(way: str, images: Tensor) -> None:
    expected = naswot(nn.Sequential(Functional("module"), nn.Flatten()), images)
    assert math.isfinite(expected)
    assert naswot(nn.Sequential(Functional(way), nn.Flatten()), images) == expected


@pytest.mark.parametrize(
    "activation", [nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish]
)
def test_naswot_of_relatives_of_relu(activation: type[nn.Module], images: Tensor) -> None:
    expected = naswot(nn.Sequential(nn.ReLU(), nn.Flatten()), images)
    found = naswot(nn.Sequential(activation(), nn.Flatten()).double(), images)
    assert found == expected


def test_naswot_of_equal_codes_is_the_worst(network: nn.Sequential, images: Tensor) -> None:
    assert naswot(network, images[[0, 1, 0]]) == float("-inf")
    assert naswot(nn.Flatten(), images) == float("-inf")
    # In floating point, some determinants with two equal rows are not zero.
    for seed in range(5):
        many = torch.randn(64, 1, 20, 20, generator=torch.Generator().manual_seed(seed))
        many[63] = many[3]
        assert naswot(nn.ReLU(), many) == float("-inf")


def test_naswot_takes_zero_for_not_positive() -> None:
    images = torch.tensor([[0.0, 1.0], [-1.0, 1.0], [1.0, 1.0]]).view(3, 1, 1, 2)
    assert naswot(nn.ReLU(), images[[0, 1]]) == float("-inf")
    # Of two bits the codes share one.
    assert naswot(nn.ReLU(), images[[0, 2]]) == pytest.approx(math.log(2 * 2 - 1 * 1))


def test_naswot_passes_by_what_is_not_of_the_images(images: Tensor) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1).double())

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x * torch.relu(self.scale))

    assert naswot(Scaled(), images) == naswot(nn.ReLU(), images)
