"""The proxy snip against a slow and obvious computation on a tiny network."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn
from torch import Tensor

from lightning_modules.proxies import snip
from tests.lightning_modules.proxies.by_hand import derivatives
from tests.lightning_modules.proxies.by_hand import flattened
from tests.lightning_modules.proxies.by_hand import mean_loss
from tests.lightning_modules.proxies.by_hand import weights_of
from tests.lightning_modules.proxies.networks import CROSS_ENTROPY


def test_snip(network: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    weights = weights_of(network)
    grads = derivatives(lambda: mean_loss(network, images, labels), weights, 1e-6)
    expected = np.abs(flattened(weights) * grads).sum()
    assert snip(network, images, labels, CROSS_ENTROPY) == pytest.approx(expected, rel=1e-6)
