"""The proxy fisher against a slow and obvious computation on a tiny network."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules.proxies import fisher
from tests.lightning_modules.proxies.by_hand import make_network
from tests.lightning_modules.proxies.by_hand import mean_loss
from tests.lightning_modules.proxies.networks import CROSS_ENTROPY


def test_fisher(network: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    layers = list(make_network(inplace=False))
    expected = 0.0
    x = images
    for i, layer in enumerate(layers):
        x = layer(x).detach()
        if i not in (0, 3, 6):
            continue
        a = x.clone().requires_grad_()
        mean_loss(nn.Sequential(*layers[i + 1 :]), a, labels).backward()
        assert a.grad is not None
        for channel in range(a.shape[1]):
            squares = [
                float((a.detach()[n, channel] * a.grad[n, channel]).sum()) ** 2
                for n in range(len(a))
            ]
            expected += sum(squares) / (2 * len(a))
    assert fisher(network, images, labels, CROSS_ENTROPY) == pytest.approx(expected, rel=1e-9)


def test_fisher_in_front_of_any_activation_in_place(images: Tensor, labels: Tensor) -> None:
    def score(inplace: bool) -> float:
        torch.manual_seed(0)
        conv, last = nn.Conv2d(1, 3, 2, stride=2), nn.Linear(12, 4)
        return fisher(
            nn.Sequential(conv, nn.SiLU(inplace), nn.Flatten(), last).double(),
            images,
            labels,
            CROSS_ENTROPY,
        )

    assert score(inplace=True) == score(inplace=False)


def test_fisher_of_a_linear_layer_with_positions() -> None:
    torch.manual_seed(0)
    tokens = nn.Sequential(nn.Flatten(2), nn.Linear(4, 3), nn.AdaptiveAvgPool2d((1, 3)))
    network = nn.Sequential(tokens, nn.Flatten()).double()
    images, labels = torch.randn(3, 5, 2, 2).double(), torch.tensor([0, 2, 1])
    a = network[0][1](network[0][0](images)).detach().requires_grad_()
    mean_loss(nn.Sequential(network[0][2], network[1]), a, labels).backward()
    assert a.grad is not None
    expected = sum(
        float((a.detach()[n, :, k] * a.grad[n, :, k]).sum()) ** 2 / 6
        for n in range(3)
        for k in range(3)
    )
    assert fisher(network, images, labels, CROSS_ENTROPY) == pytest.approx(expected, rel=1e-9)
