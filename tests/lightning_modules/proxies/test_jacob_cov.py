"""The proxy jacob_cov against a slow and obvious computation on a tiny network."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules.proxies import jacob_cov


def test_jacob_cov(network: nn.Sequential, images: Tensor) -> None:
    jacobian = torch.autograd.functional.jacobian(network, images)
    assert isinstance(jacobian, Tensor)
    rows = np.zeros((5, 16))
    for n, row, column in itertools.product(range(5), range(4), range(4)):
        # All logits, also of other images: normalisation ties the images together.
        rows[n, 4 * row + column] = float(jacobian[:, :, n, 0, row, column].sum())
    values = np.linalg.eigvals(np.corrcoef(rows)).real
    expected = -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in values)
    assert jacob_cov(network, images) == pytest.approx(expected, rel=1e-9)


def test_jacob_cov_of_equal_images_is_low(network: nn.Sequential, images: Tensor) -> None:
    twice = torch.cat([images[:2], images[:1]])
    assert jacob_cov(network, twice) < jacob_cov(network, images[:3]) - 1e4


def test_jacob_cov_without_dependence_is_the_worst() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    nn.init.zeros_(network[1].weight)
    assert jacob_cov(network, torch.randn(3, 1, 4, 4)) == float("-inf")
