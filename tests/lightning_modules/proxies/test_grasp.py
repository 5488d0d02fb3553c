"""The proxy grasp against a slow and obvious computation on a tiny network."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.proxies import grasp
from tests.lightning_modules.proxies.by_hand import make_network
from tests.lightning_modules.proxies.networks import CROSS_ENTROPY


def test_grasp(network: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    names = ["0.weight", "3.weight", "6.weight"]
    start = [dict(network.named_parameters())[name].detach() for name in names]
    sizes = [tensor.numel() for tensor in start]

    def value(flat: Tensor) -> Tensor:
        parts = [
            part.view_as(tensor) for part, tensor in zip(flat.split(sizes), start, strict=True)
        ]
        state = dict(zip(names, parts, strict=True))
        logits = torch.func.functional_call(make_network(inplace=False), state, (images,))
        return F.cross_entropy(logits, labels)

    # The other parameters of the copies are those of the network, as the seed is the same.
    w = torch.cat([tensor.flatten() for tensor in start])
    g = torch.autograd.functional.jacobian(value, w)
    h = torch.autograd.functional.hessian(value, w)
    expected = -float(w @ h @ g)
    assert abs(expected) > 1e-3
    assert grasp(network, images, labels, CROSS_ENTROPY) == pytest.approx(expected, rel=1e-9)
