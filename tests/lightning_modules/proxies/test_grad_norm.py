"""The proxy grad_norm against a slow and obvious computation on a tiny network."""

from __future__ import annotations

import math

import pytest
from torch import nn
from torch import Tensor

from lightning_modules.proxies import grad_norm
from tests.lightning_modules.proxies.by_hand import derivatives
from tests.lightning_modules.proxies.by_hand import mean_loss
from tests.lightning_modules.proxies.by_hand import weights_of
from tests.lightning_modules.proxies.networks import CROSS_ENTROPY


def test_grad_norm(network: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    grads = derivatives(lambda: mean_loss(network, images, labels), weights_of(network), 1e-6)
    expected = math.sqrt((grads**2).sum())
    assert grad_norm(network, images, labels, CROSS_ENTROPY) == pytest.approx(expected, rel=1e-6)
