"""What holds for every proxy: the network is left as found, and what does not matter to it."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules import compute_proxies
from lightning_modules.registries import PROXIES
from tests.lightning_modules.proxies.networks import CROSS_ENTROPY
from tests.lightning_modules.proxies.networks import LOSS
from tests.lightning_modules.proxies.networks import make
from tests.lightning_modules.proxies.networks import make_batch
from tests.lightning_modules.proxies.networks import MEASURED
from tests.lightning_modules.proxies.networks import NETWORKS
from tests.lightning_modules.proxies.networks import score
from tests.lightning_modules.proxies.networks import small_batch
from tests.lightning_modules.proxies.networks import small_network


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

    score(proxy, network, images, labels)

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
            score(proxy, network, torch.randn(4, 3, 16, 16), torch.zeros(4, dtype=torch.int64))
        assert all(module.training for module in network.modules())
        assert not any("forward" in vars(module) for module in network.modules())
        assert not any(module._forward_hooks for module in network.modules())


def test_a_forward_of_ones_own_is_put_back() -> None:
    network = small_network()

    def forward(x: Tensor) -> Tensor:
        raise AssertionError("Normalisation should be left out.")

    network[1].forward = forward  # type: ignore[method-assign]
    score("synflow", network, *small_batch())
    assert network[1].forward is forward


@pytest.mark.parametrize("proxy", MEASURED)
def test_neither_modes_nor_frozen_weights_matter(proxy: str) -> None:
    expected = score(proxy, small_network(), *small_batch())
    network = small_network().eval().requires_grad_(False)
    assert score(proxy, network, *small_batch()) == expected
    with torch.no_grad():
        assert score(proxy, network, *small_batch()) == expected
    with torch.inference_mode():
        inferring, batch = small_network(), small_batch()
        assert score(proxy, inferring, *batch) == expected


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

    expected = score(proxy, small_network(), *small_batch())
    assert score(proxy, WithUnused(small_network()), *small_batch()) == expected


@pytest.mark.parametrize("proxy", [name for name in MEASURED if name not in ("zen", "synflow")])
@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(6)))
def test_the_order_of_the_images_does_not_matter(proxy: str, order: list[int]) -> None:
    images, labels = small_batch()
    expected = score(proxy, small_network(), images, labels)
    found = score(proxy, small_network(), images[order], labels[order])
    assert found == pytest.approx(expected, rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(scales=st.lists(st.floats(0.1, 10.0), min_size=4, max_size=4))
def test_scales_in_front_of_normalisation(scales: list[float]) -> None:
    network, batch = small_network(), small_batch()
    network[1].eps = 1e-12
    expected = compute_proxies(network, *batch, CROSS_ENTROPY, MEASURED)
    with torch.no_grad():
        network[0].weight *= torch.tensor(scales).view(4, 1, 1, 1)
    found = compute_proxies(network, *batch, CROSS_ENTROPY, MEASURED)
    # The function is the same, and with it all that looks at functions or at w dL/dw.
    for name in ("snip", "fisher", "jacob-cov", "naswot", "zen"):
        assert found[name] == pytest.approx(expected[name], rel=1e-6)


@pytest.mark.parametrize("proxy", LOSS)
@pytest.mark.parametrize(
    "labels",
    [
        None,
        torch.zeros(5, dtype=torch.int64),
        torch.tensor([0, 1, 2, 3, 4, 5]),
        torch.tensor([0, 1, 2, 3, 4, -1]),
    ],
)
def test_errors_of_the_loss_come_out(proxy: str, labels: Any) -> None:
    network = small_network()
    with pytest.raises((IndexError, RuntimeError, TypeError, ValueError)) as caught:
        CROSS_ENTROPY(network(small_batch()[0]), labels)
    with pytest.raises(caught.type):
        score(proxy, network, small_batch()[0], labels)
    with pytest.raises((RuntimeError, ValueError)):
        score(proxy, network[:3], *small_batch())  # Its output has no classes.
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("proxy", LOSS)
@pytest.mark.parametrize(
    ("value", "came"), [(torch.zeros(6), r"a tensor of shape \(6,\)"), (1.0, "1.0")]
)
def test_a_loss_that_is_no_scalar(proxy: str, value: Any, came: str) -> None:
    with pytest.raises(ValueError, match=f"`loss` to return a scalar tensor but got {came}"):
        PROXIES.get(proxy)(small_network(), *small_batch(), lambda output, target: value)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), images=st.integers(0, 1000), batch=st.integers(2, 9))
def test_what_synflow_and_zen_do_not_look_at(seed: int, images: int, batch: int) -> None:
    network = small_network()
    generator = torch.Generator().manual_seed(images)
    others = torch.randn(batch, 1, 4, 4, generator=generator).double()
    expected = score("synflow", network, *small_batch())
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(torch.randint(2, parameter.shape) * 2 - 1)
    assert score("synflow", network, others) == pytest.approx(expected, rel=1e-12)
    expected = score("zen", small_network(), *small_batch())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-9.0, 9.0)
    network[1].running_var.fill_(3.0)
    assert score("zen", network, torch.randn(6, 1, 4, 4).double()) == expected


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(0.1, 10.0))
def test_synflow_is_homogeneous_in_each_layer(scale: float) -> None:
    network = small_network()
    with torch.no_grad():
        network[4].bias.zero_()
    expected = score("synflow", network, *small_batch())
    with torch.no_grad():
        network[0].weight *= scale
    assert score("synflow", network, *small_batch()) == pytest.approx(scale * expected)
