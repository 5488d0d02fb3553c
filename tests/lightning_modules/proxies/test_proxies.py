"""Each proxy against a slow and obvious computation on a tiny network."""

from __future__ import annotations

from collections.abc import Callable
import copy
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules import build_cell_network
from lightning_modules import compute_proxies
from lightning_modules import count_macs
from lightning_modules import count_params
from lightning_modules import PROXIES
from lightning_modules.proxies import fisher
from lightning_modules.proxies import grad_norm
from lightning_modules.proxies import grasp
from lightning_modules.proxies import jacob_cov
from lightning_modules.proxies import naswot
from lightning_modules.proxies import snip
from lightning_modules.proxies import synflow
from lightning_modules.proxies import zen
from optuna_nas import CellSpace


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


@pytest.fixture
def network() -> nn.Sequential:
    return make_network()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 3, 1, 1, 2])


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


# Gradients of the loss.


def test_snip(network: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    weights = weights_of(network)
    grads = derivatives(lambda: mean_loss(network, images, labels), weights, 1e-6)
    expected = np.abs(flattened(weights) * grads).sum()
    assert snip(network, images, labels) == pytest.approx(expected, rel=1e-6)


def test_grad_norm(network: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    grads = derivatives(lambda: mean_loss(network, images, labels), weights_of(network), 1e-6)
    expected = math.sqrt((grads**2).sum())
    assert grad_norm(network, images, labels) == pytest.approx(expected, rel=1e-6)


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
    assert grasp(network, images, labels) == pytest.approx(expected, rel=1e-9)


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
    assert fisher(network, images, labels) == pytest.approx(expected, rel=1e-9)


def test_fisher_in_front_of_any_activation_in_place(images: Tensor, labels: Tensor) -> None:
    def score(inplace: bool) -> float:
        torch.manual_seed(0)
        conv, last = nn.Conv2d(1, 3, 2, stride=2), nn.Linear(12, 4)
        return fisher(
            nn.Sequential(conv, nn.SiLU(inplace), nn.Flatten(), last).double(), images, labels
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
    assert fisher(network, images, labels) == pytest.approx(expected, rel=1e-9)


# Flow.


def test_synflow(network: nn.Sequential, images: Tensor) -> None:
    first, _, _, second, _, _, last = (copy.deepcopy(layer) for layer in network)
    weights = [first.weight, second.weight, last.weight]
    with torch.no_grad():
        for parameter in [*weights, second.bias, last.bias]:
            parameter.abs_()

    def flow() -> Tensor:
        # Neither normalisation nor ReLU: nothing is negative.
        return last(second(first(torch.ones(1, 1, 4, 4).double())).flatten(1)).sum()

    # Linear in each weight, so that differences are exact.
    expected = np.abs(flattened(weights) * derivatives(flow, weights, 0.1)).sum()
    assert synflow(network, images) == pytest.approx(expected, rel=1e-9)


def test_synflow_of_paths_by_hand() -> None:
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)
    )
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.0]]))
        network[3].weight.copy_(torch.tensor([[-5.0, 7.0]]))
    # Each path of two weights counts once for each of the two.
    assert synflow(network, torch.zeros(2, 1, 1, 2)) == 2 * (1 * 5 + 2 * 5 + 3 * 7)


@pytest.mark.parametrize("weight", [-10.0, -0.1])
def test_synflow_beyond_float32(weight: float) -> None:
    layers = [nn.Linear(1, 1, bias=False) for _ in range(50)]
    for layer in layers:
        nn.init.constant_(layer.weight, weight)
    network = nn.Sequential(nn.Flatten(), *layers)
    found = synflow(network, torch.zeros(2, 1, 1, 1))
    assert found == pytest.approx(50 * abs(weight) ** 50, rel=1e-5, abs=0.0)


def test_synflow_of_a_deep_network_in_either_precision() -> None:
    cell = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|none~2|"
    network = build_cell_network(
        CellSpace().from_string(cell), input_shape=(1, 8, 8), num_classes=3, channels=4
    )
    images = torch.zeros(2, 1, 8, 8)
    found = synflow(network, images)
    assert found > 1e10
    assert found == pytest.approx(synflow(network.double(), images.double()), rel=1e-4)


def test_synflow_passes_normalisation_and_the_bound_of_relu6() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 1, 1, bias=False),
        nn.BatchNorm2d(1),
        nn.ReLU6(),
        nn.GroupNorm(1, 1),
        nn.Flatten(),
        nn.LayerNorm(1),
        nn.Linear(1, 1, bias=False),
    )
    nn.init.constant_(network[0].weight, 100.0)
    nn.init.constant_(network[6].weight, 2.0)
    assert synflow(network, torch.zeros(2, 1, 1, 1)) == 2 * 200.0


# Differences between images.


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


def codes_of(layers: list[nn.Module], images: Tensor) -> list[list[bool]]:
    """The signs in front of each ReLU, by image."""
    codes: list[list[bool]] = [[] for _ in images]
    x = images
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            for code, values in zip(codes, x.flatten(1).tolist(), strict=True):
                code += [value > 0 for value in values]
        x = layer(x)
    return codes


def test_naswot(network: nn.Sequential, images: Tensor) -> None:
    codes = codes_of(list(make_network(inplace=False)), images)
    kernel = np.zeros((5, 5))
    for i, j in itertools.product(range(5), range(5)):
        distance = sum(a != b for a, b in zip(codes[i], codes[j], strict=True))
        kernel[i, j] = len(codes[i]) - distance
    assert len(codes[0]) == 3 * 16 + 2 * 4
    assert naswot(network, images) == pytest.approx(math.log(np.linalg.det(kernel)), rel=1e-9)


class Functional(nn.Module):
    """The same activation called in four ways, one of them on the input of two others."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.module = nn.ReLU(inplace=way == "module in place")

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        if self.way.startswith("module"):
            return self.module(x)
        return torch.relu(x) if self.way == "torch" else F.relu(x, inplace=True)


@pytest.mark.parametrize("way", ["module in place", "torch", "functional in place"])
def test_naswot_sees_activations_however_they_are_called(way: str, images: Tensor) -> None:
    expected = naswot(nn.Sequential(Functional("module"), nn.Flatten()), images)
    assert math.isfinite(expected)
    assert naswot(nn.Sequential(Functional(way), nn.Flatten()), images) == expected


@pytest.mark.parametrize(
    "activation", [nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish]
)
def test_naswot_of_relatives_of_relu(activation: type[nn.Module], images: Tensor) -> None:
    expected = naswot(nn.Sequential(nn.ReLU(), nn.Flatten()), images)
    found = naswot(nn.Sequential(activation(), nn.Flatten()).double(), images)
    assert found == expected


def test_naswot_of_equal_codes_is_the_worst(network: nn.Sequential, images: Tensor) -> None:
    assert naswot(network, images[[0, 1, 0]]) == float("-inf")
    assert naswot(nn.Flatten(), images) == float("-inf")
    # In floating point, some determinants with two equal rows are not zero.
    for seed in range(5):
        many = torch.randn(64, 1, 20, 20, generator=torch.Generator().manual_seed(seed))
        many[63] = many[3]
        assert naswot(nn.ReLU(), many) == float("-inf")


def test_naswot_takes_zero_for_not_positive() -> None:
    images = torch.tensor([[0.0, 1.0], [-1.0, 1.0], [1.0, 1.0]]).view(3, 1, 1, 2)
    assert naswot(nn.ReLU(), images[[0, 1]]) == float("-inf")
    # Of two bits the codes share one.
    assert naswot(nn.ReLU(), images[[0, 2]]) == pytest.approx(math.log(2 * 2 - 1 * 1))


def test_naswot_passes_by_what_is_not_of_the_images(images: Tensor) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1).double())

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x * torch.relu(self.scale))

    assert naswot(Scaled(), images) == naswot(nn.ReLU(), images)


# Expressivity.


def test_zen(network: nn.Sequential, images: Tensor) -> None:
    network = nn.Sequential(*network[:5], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 4))
    network = network.double()
    generator = torch.Generator().manual_seed(0)
    x, e = (torch.randn(5, 1, 4, 4, generator=generator).double() for _ in range(2))
    first, second = (
        torch.randn(shape, generator=generator).double() for shape in [(3, 1, 3, 3), (2, 3, 2, 2)]
    )

    def features(images: Tensor) -> tuple[Tensor, list[float]]:
        y = F.conv2d(images, first, padding=1)
        variances = []
        for channel in range(3):
            values = y[:, channel].flatten().tolist()
            mean = sum(values) / len(values)
            variances.append(sum((value - mean) ** 2 for value in values) / len(values))
            y[:, channel] = (y[:, channel] - mean) / math.sqrt(variances[-1] + 1e-5)
        return F.conv2d(y.clamp(min=0), second, stride=2).clamp(min=0), variances

    clean, variances = features(x)
    moved, _ = features(x + 0.01 * e)
    norms = [math.sqrt(float(((a - b) ** 2).sum())) for a, b in zip(clean, moved, strict=True)]
    expected = math.log(sum(norms) / 5) + math.log(math.sqrt(sum(variances) / 3))
    assert zen(network, images) == pytest.approx(expected, rel=1e-6)


def test_zen_takes_the_features_in_front_of_the_head(images: Tensor) -> None:
    body = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3)).double()
    expected = zen(body, images)
    layers = [nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 4)]
    pooled = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *layers)
    flat = nn.Sequential(*body, nn.Flatten(), nn.Linear(48, 4))
    assert zen(pooled.double(), images) == expected
    assert zen(flat.double(), images) == expected


def test_zen_is_not_misled_by_pooling_between_convolutions(images: Tensor) -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x * torch.sigmoid(self.conv(self.pool(x)))

    body = nn.Sequential(nn.Conv2d(1, 3, 3), Gate()).double()
    assert zen(nn.Sequential(body, nn.Flatten()), images) == zen(body, images)
    assert zen(body, images) != zen(body[0], images)


def test_zen_without_dependence_is_the_worst(images: Tensor) -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 0.0

    assert zen(Constant(), images) == float("-inf")


def test_zen_leaves_normalised_constants_out(images: Tensor) -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3, bias=False)
            self.norm = nn.BatchNorm2d(2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x)
            return y + self.norm(y * 0.0)

    plain, constant = Sum(), Sum()
    plain.norm = nn.Identity()  # type: ignore[assignment]
    assert zen(constant.double(), images) == zen(plain.double(), images)


# All.


def test_costs_are_proxies(network: nn.Sequential, images: Tensor) -> None:
    found = compute_proxies(network, images, names=["macs", "params"])
    assert found == {"macs": count_macs(network, (1, 4, 4)), "params": count_params(network)}
    assert list(found) == ["macs", "params"]


def test_all_by_default(network: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    found = compute_proxies(network, images, labels)
    assert list(found) == list(PROXIES)
    assert found == {name: proxy(network, images, labels) for name, proxy in PROXIES.items()}
