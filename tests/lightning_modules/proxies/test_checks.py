"""Inputs that no proxy takes, and values that are not finite."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules.registries import PROXIES
from tests.lightning_modules.proxies.networks import MEASURED
from tests.lightning_modules.proxies.networks import score
from tests.lightning_modules.proxies.networks import small_batch
from tests.lightning_modules.proxies.networks import small_network


class _Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


@pytest.mark.parametrize("proxy", MEASURED)
def test_values_that_are_not_finite_are_errors(proxy: str) -> None:
    if proxy == "zen":
        network: nn.Module = nn.Sequential(*[nn.Conv2d(4**i, 4 ** (i + 1), 1) for i in range(3)])
        network = nn.Sequential(*[network[0], *[_Square() for _ in range(9)]])
    else:
        network = small_network()
        with torch.no_grad():
            network[0].weight[0, 0, 0, 0] = math.nan
    with pytest.raises(RuntimeError, match=f"The proxy {proxy} of the network is (nan|inf)"):
        score(proxy, network.float(), small_batch()[0].float(), small_batch()[1])


def test_overflow_is_an_error() -> None:
    layers = [nn.Linear(1, 1, bias=False).double() for _ in range(2)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1e300)
    with pytest.raises(RuntimeError, match="The proxy synflow of the network is inf"):
        score("synflow", nn.Sequential(nn.Flatten(), *layers), torch.zeros(2, 1, 1, 1).double())


def spoiled(change: Callable[[Tensor], Any]) -> Any:
    return change(small_batch()[0])


@pytest.mark.parametrize("proxy", list(PROXIES))
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("cat.png", "a tensor of shape \\(batch, ...\\), .* but got 'cat.png'"),
        ({}, "or tuples or dicts of such, but got {}"),
        (torch.tensor(1.0), "a tensor of shape .* but got tensor\\(1.\\)"),
        (spoiled(lambda x: x[0]), "at least 2 samples .* but got the shape \\(1, 4, 4\\)"),
        (spoiled(lambda x: x[:1]), "at least 2 samples .* but got the shape \\(1, 1, 4, 4\\)"),
        (spoiled(lambda x: x[:, :, :0]), "samples with values but got the shape"),
        (spoiled(lambda x: x / 0), "finite but got NaN or infinity"),
        (spoiled(lambda x: {"a": x, "b": x / 0}), "finite but got NaN or infinity"),
    ],
)
def test_wrong_inputs(proxy: str, inputs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"Expected argument `inputs` to be .*{message}"):
        score(proxy, small_network(), inputs, small_batch()[1])


@pytest.mark.parametrize("proxy", ["zen", "jacob-cov"])
def test_proxies_that_need_floating_point(proxy: str) -> None:
    with pytest.raises(ValueError, match=f"of floating point type for the proxy {proxy} but got"):
        score(proxy, small_network(), small_batch()[0].long())
