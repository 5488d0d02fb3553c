"""A tiny network and a batch of images in float64."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch import Tensor

from tests.lightning_modules.proxies.by_hand import make_network


@pytest.fixture
def network() -> nn.Sequential:
    return make_network()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 3, 1, 1, 2])
