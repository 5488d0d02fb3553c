"""The proxy zen against a slow and obvious computation on a tiny network."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.proxies import zen


def test_zen(network: nn.Sequential, images: Tensor) -> None:
    network = nn.Sequential(*network[:5], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 4))
    network = network.double()
    generator = torch.Generator().manual_seed(0)
    x, e = (torch.randn(5, 1, 4, 4, generator=generator).double() for _ in range(2))
    first, second = (
        torch.randn(shape, generator=generator).double() for shape in [(3, 1, 3, 3), (2, 3, 2, 2)]
    )

    def features(images: Tensor) -> tuple[Tensor, list[float]]:
        y = F.conv2d(images, first, padding=1)
        variances = []
        for channel in range(3):
            values = y[:, channel].flatten().tolist()
            mean = sum(values) / len(values)
            variances.append(sum((value - mean) ** 2 for value in values) / len(values))
            y[:, channel] = (y[:, channel] - mean) / math.sqrt(variances[-1] + 1e-5)
        return F.conv2d(y.clamp(min=0), second, stride=2).clamp(min=0), variances

    clean, variances = features(x)
    moved, _ = features(x + 0.01 * e)
    norms = [math.sqrt(float(((a - b) ** 2).sum())) for a, b in zip(clean, moved, strict=True)]
    expected = math.log(sum(norms) / 5) + math.log(math.sqrt(sum(variances) / 3))
    assert zen(network, images) == pytest.approx(expected, rel=1e-6)


def test_zen_takes_the_features_in_front_of_the_head(images: Tensor) -> None:
    body = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3)).double()
    expected = zen(body, images)
    layers = [nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 4)]
    pooled = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *layers)
    flat = nn.Sequential(*body, nn.Flatten(), nn.Linear(48, 4))
    assert zen(pooled.double(), images) == expected
    assert zen(flat.double(), images) == expected


def test_zen_is_not_misled_by_pooling_between_convolutions(images: Tensor) -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x * torch.sigmoid(self.conv(self.pool(x)))

    body = nn.Sequential(nn.Conv2d(1, 3, 3), Gate()).double()
    assert zen(nn.Sequential(body, nn.Flatten()), images) == zen(body, images)
    assert zen(body, images) != zen(body[0], images)


def test_zen_without_dependence_is_the_worst(images: Tensor) -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 0.0

    assert zen(Constant(), images) == float("-inf")


def test_zen_leaves_normalised_constants_out(images: Tensor) -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3, bias=False)
            self.norm = nn.BatchNorm2d(2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x)
            return y + self.norm(y * 0.0)

    plain, constant = Sum(), Sum()
    plain.norm = nn.Identity()  # type: ignore[assignment]
    assert zen(constant.double(), images) == zen(plain.double(), images)
