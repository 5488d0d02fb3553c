"""A tiny network, and slow and obvious computations on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch import Tensor


def make_network(*, inplace: bool = True) -> nn.Sequential:
    """Make a network in float64; its second ReLU changes a convolution's output in place."""
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(inplace=inplace),
        nn.Conv2d(3, 2, 2, stride=2),
        nn.ReLU(inplace=inplace),
        nn.Flatten(),
        nn.Linear(8, 4),
    ).double()
    with torch.no_grad():
        network[1].weight.uniform_(0.5, 2.0)
        network[1].bias.uniform_(-0.5, 0.5)
    return network


def mean_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy by its definition, normalised by the batch."""
    chances = torch.softmax(network(images), dim=1)
    return -sum(chances[i, label].log() for i, label in enumerate(labels)) / len(labels)


def weights_of(network: nn.Sequential) -> list[nn.Parameter]:
    return [network[i].weight for i in (0, 3, 6)]


def derivatives(
    value: Callable[[], Tensor], weights: list[nn.Parameter], step: float
) -> np.ndarray:
    """Central differences of a value in each weight, one after the other."""
    found = []
    with torch.no_grad():
        for weight in weights:
            flat = weight.view(-1)
            for i in range(len(flat)):
                flat[i] += step
                above = float(value())
                flat[i] -= 2 * step
                found.append((above - float(value())) / (2 * step))
                flat[i] += step
    return np.array(found)


def flattened(weights: list[nn.Parameter]) -> np.ndarray:
    return torch.cat([weight.detach().flatten() for weight in weights]).numpy()
