"""What holds for every proxy: state left as found, invariances, wrong input, real networks."""

from __future__ import annotations

from collections.abc import Callable
import copy
import math
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules import build_network
from lightning_modules import compute_proxies
from lightning_modules import PROXIES
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas.spaces import DARTS_V2


LOSS = ("snip", "grasp", "grad_norm", "fisher")
MEASURED = tuple(name for name in PROXIES if name not in ("params", "macs"))
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
DEAD_END = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
NETWORKS: dict[str, tuple[Architecture, dict[str, Any]]] = {
    "cell": (CellSpace().from_string(CELL), {"channels": 4, "cells_per_stage": 1}),
    "cell with a dead end": (
        CellSpace().from_string(DEAD_END),
        {"channels": 4, "cells_per_stage": 1},
    ),
    "chain": (ChainSpace().from_string("C8k3-Smax2-C8k5-Savg2-O32-O32"), {}),
    "convolutional chain": (ChainSpace().from_string("C8k3-Smax2-C8k5"), {}),
    "mobile": (MobileSpace().complete({"stage_2_depth": 1}), {"dropout": 0.5}),
    "darts": (DartsSpace().from_string(DARTS_V2), {"channels": 4, "cells": 3}),
}


def make(name: str, seed: int = 0) -> nn.Module:
    architecture, arguments = NETWORKS[name]
    torch.manual_seed(seed)
    return build_network(architecture, input_shape=(1, 16, 16), num_classes=5, **arguments)


def make_batch(n: int = 8, size: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(n, 1, size, size, generator=generator)
    return images, torch.randint(5, (n,), generator=generator)


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(16, 5),
    ).double()


def small_batch() -> tuple[Tensor, Tensor]:
    images, labels = make_batch(n=6, size=4)
    return images.double(), labels


# Networks of the search spaces.


@pytest.mark.parametrize("name", list(NETWORKS))
def test_proxies_of_real_networks(name: str) -> None:
    scores = compute_proxies(make(name), *make_batch())
    assert all(math.isfinite(score) for score in scores.values())
    assert all(scores[name] > 0 for name in ("synflow", "snip", "grad_norm", "fisher"))
    assert scores["jacob_cov"] < -8
    # Nothing of it depends on what was scored before, or on dropout.
    assert compute_proxies(make(name), *make_batch()) == scores


@pytest.mark.parametrize("proxy", MEASURED)
@pytest.mark.parametrize("name", list(NETWORKS))
def test_network_is_left_as_found(name: str, proxy: str) -> None:
    network = make(name)
    for i, parameter in enumerate(network.parameters()):
        parameter.requires_grad_(i % 2 == 0)
        parameter.grad = torch.full_like(parameter, 7.0) if i % 3 == 0 else None
    for i, module in enumerate(network.modules()):
        module.training = i % 2 == 0
    state = copy.deepcopy(network.state_dict())
    pointers = [tensor.data_ptr() for tensor in network.state_dict().values()]
    flags = [parameter.requires_grad for parameter in network.parameters()]
    modes = [module.training for module in network.modules()]
    attributes = [set(vars(module)) for module in network.modules()]
    images, labels = make_batch()
    random_state = torch.get_rng_state()

    PROXIES[proxy](network, images, labels)

    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())
    assert [tensor.data_ptr() for tensor in network.state_dict().values()] == pointers
    assert [parameter.requires_grad for parameter in network.parameters()] == flags
    assert [module.training for module in network.modules()] == modes
    assert [set(vars(module)) for module in network.modules()] == attributes
    for i, parameter in enumerate(network.parameters()):
        assert (parameter.grad is not None) == (i % 3 == 0)
        assert parameter.grad is None or bool((parameter.grad == 7.0).all())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert torch.equal(images, make_batch()[0])
    assert not images.requires_grad


def test_network_is_left_as_found_after_an_error() -> None:
    network = make("mobile")
    for proxy in MEASURED:
        with pytest.raises((RuntimeError, ValueError)):
            PROXIES[proxy](network, torch.randn(4, 3, 16, 16), torch.zeros(4, dtype=torch.int64))
        assert all(module.training for module in network.modules())
        assert not any("forward" in vars(module) for module in network.modules())
        assert not any(module._forward_hooks for module in network.modules())


def test_a_forward_of_ones_own_is_put_back() -> None:
    network = small_network()

    def forward(x: Tensor) -> Tensor:
        raise AssertionError("Normalisation should be left out.")

    network[1].forward = forward  # type: ignore[method-assign]
    PROXIES["synflow"](network, *small_batch())
    assert network[1].forward is forward


# Invariances.


@pytest.mark.parametrize("proxy", MEASURED)
def test_neither_modes_nor_frozen_weights_matter(proxy: str) -> None:
    expected = PROXIES[proxy](small_network(), *small_batch())
    network = small_network().eval().requires_grad_(False)
    assert PROXIES[proxy](network, *small_batch()) == expected
    with torch.no_grad():
        assert PROXIES[proxy](network, *small_batch()) == expected
    with torch.inference_mode():
        inferring, batch = small_network(), small_batch()
        assert PROXIES[proxy](inferring, *batch) == expected


@pytest.mark.parametrize("proxy", MEASURED)
def test_parameters_without_gradient_count_as_zero(proxy: str) -> None:
    class WithUnused(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network
            self.unused = nn.Conv2d(3, 3, 3).double()

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.network(x)
            return y

    expected = PROXIES[proxy](small_network(), *small_batch())
    assert PROXIES[proxy](WithUnused(small_network()), *small_batch()) == expected


@pytest.mark.parametrize("proxy", [name for name in MEASURED if name not in ("zen", "synflow")])
@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(6)))
def test_the_order_of_the_images_does_not_matter(proxy: str, order: list[int]) -> None:
    images, labels = small_batch()
    expected = PROXIES[proxy](small_network(), images, labels)
    found = PROXIES[proxy](small_network(), images[order], labels[order])
    assert found == pytest.approx(expected, rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(scales=st.lists(st.floats(0.1, 10.0), min_size=4, max_size=4))
def test_scales_in_front_of_normalisation(scales: list[float]) -> None:
    network, batch = small_network(), small_batch()
    network[1].eps = 1e-12
    expected = compute_proxies(network, *batch, names=MEASURED)
    with torch.no_grad():
        network[0].weight *= torch.tensor(scales).view(4, 1, 1, 1)
    found = compute_proxies(network, *batch, names=MEASURED)
    # The function is the same, and with it all that looks at functions or at w dL/dw.
    for name in ("snip", "fisher", "jacob_cov", "naswot", "zen"):
        assert found[name] == pytest.approx(expected[name], rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), images=st.integers(0, 1000), batch=st.integers(2, 9))
def test_what_synflow_and_zen_do_not_look_at(seed: int, images: int, batch: int) -> None:
    network = small_network()
    generator = torch.Generator().manual_seed(images)
    others = torch.randn(batch, 1, 4, 4, generator=generator).double()
    expected = PROXIES["synflow"](network, *small_batch())
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(torch.randint(2, parameter.shape) * 2 - 1)
    assert PROXIES["synflow"](network, others) == pytest.approx(expected, rel=1e-12)
    expected = PROXIES["zen"](small_network(), *small_batch())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-9.0, 9.0)
    network[1].running_var.fill_(3.0)
    assert PROXIES["zen"](network, torch.randn(6, 1, 4, 4).double()) == expected


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(0.1, 10.0))
def test_synflow_is_homogeneous_in_each_layer(scale: float) -> None:
    network = small_network()
    with torch.no_grad():
        network[4].bias.zero_()
    expected = PROXIES["synflow"](network, *small_batch())
    with torch.no_grad():
        network[0].weight *= scale
    assert PROXIES["synflow"](network, *small_batch()) == pytest.approx(scale * expected)


# Values that are not finite, and wrong input.


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
        PROXIES[proxy](network.float(), small_batch()[0].float(), small_batch()[1])


def test_overflow_is_an_error() -> None:
    layers = [nn.Linear(1, 1, bias=False).double() for _ in range(2)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1e300)
    with pytest.raises(RuntimeError, match="The proxy synflow of the network is inf"):
        PROXIES["synflow"](nn.Sequential(nn.Flatten(), *layers), torch.zeros(2, 1, 1, 1).double())


class _Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


def spoiled(change: Callable[[Tensor], Any]) -> Any:
    return change(small_batch()[0])


@pytest.mark.parametrize("proxy", list(PROXIES))
@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("cat.png", "of shape \\(batch, channels, height, width\\) but got 'cat.png'"),
        (spoiled(lambda x: x[0]), "but got a float64 tensor of shape \\(1, 4, 4\\)"),
        (spoiled(lambda x: x.long()), "floating point tensor .* but got a int64 tensor"),
        (spoiled(lambda x: x[:1]), "at least 2 images .* but got the shape \\(1, 1, 4, 4\\)"),
        (spoiled(lambda x: x[:, :, :0]), "images with pixels but got the shape"),
        (spoiled(lambda x: x / 0), "finite but got NaN or infinity"),
    ],
)
def test_wrong_images(proxy: str, images: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"Expected argument `images` to be .*{message}"):
        PROXIES[proxy](small_network(), images, small_batch()[1])


@pytest.mark.parametrize("proxy", LOSS)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "shape \\(6,\\), one for each image, but got None"),
        (torch.zeros(5, dtype=torch.int64), "but got a int64 tensor of shape \\(5,\\)"),
        (torch.zeros(6), "int64 tensor .* but got a float32 tensor"),
        (torch.tensor([0, 1, 2, 3, 4, 5]), "in \\[0, 4\\] but got labels from 0 to 5"),
        (torch.tensor([0, 1, 2, 3, 4, -1]), "in \\[0, 4\\] but got labels from -1 to 4"),
    ],
)
def test_wrong_labels(proxy: str, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"Expected argument `labels` to be .*{message}"):
        PROXIES[proxy](small_network(), small_batch()[0], labels)


@pytest.mark.parametrize("proxy", LOSS)
def test_networks_without_logits(proxy: str) -> None:
    with pytest.raises(ValueError, match=r"`network` to return logits .* shape \(6, 4, 2, 2\)"):
        PROXIES[proxy](small_network()[:3], *small_batch())


@pytest.mark.parametrize("names", [[], "synflow", ["synflow", "accuracy"]])
def test_unknown_names(names: Any) -> None:
    with pytest.raises(ValueError, match=r"`names` to be names of \['synflow'.* but got"):
        compute_proxies(small_network(), *small_batch(), names=names)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_proxies_on_a_gpu() -> None:
    images, labels = make_batch()
    expected = compute_proxies(make("cell"), images, labels)
    network = make("cell").cuda()
    found = compute_proxies(network, images.cuda(), labels.cuda())
    assert found == pytest.approx(expected, rel=0.02)
    assert all(parameter.is_cuda for parameter in network.parameters())
