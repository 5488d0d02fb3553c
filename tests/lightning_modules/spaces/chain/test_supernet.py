"""The supernet of chains: its paths are single networks, its mixtures are hand-written sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules import build_chain_backbone
from lightning_modules import Classification
from lightning_modules.spaces.chain import ChainSupernet
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Gate
from lightning_modules.supernet import inherit_weights
from lightning_modules.supernet import recalibrate
from lightning_modules.supernet._evaluate import batch_statistics
from lightning_modules.supernet.relaxations import Darts
from lightning_modules.supernet.relaxations import Gdas
from lightning_modules.supernet.relaxations import LogitRelaxation
from lightning_modules.supernet.relaxations import PartialChannels
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from optuna_nas import Architecture
from optuna_nas import ChainSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.spaces import choices_of


SPACE = ChainSpace(
    max_depth=4, filters=(6, 3, 8), kernel_sizes=(5, 1, 3), pool_sizes=(2, 3), units=(4, 9)
)
SHAPE = (2, 9, 8)
TASK = Classification(3)
SPACES: dict[str, SearchSpace] = {
    "whole": SPACE,
    "default": ChainSpace(max_depth=3),
    "no dense layers": ChainSpace(max_depth=3, filters=(4, 8), max_dense_depth=0),
    "frozen": SPACE.freeze({"depth": 3, "layer_1_type": "conv", "dense_1_units": 4}),
    "pools": SPACE.freeze({f"layer_{i}_type": "pool" for i in range(1, 5)}),
    "shrunk": SPACE.shrink(
        Prior(
            SPACE,
            {"depth": [0, 9, 0, 9], "dense_depth": [0, 1, 1], "layer_2_kernel_size": [0, 1, 1]},
        ),
        keep=0.5,
    ),
}


def make(space: SearchSpace = SPACE, **arguments: Any) -> ChainSupernet:
    """Return a supernet in which weights, normalisation and statistics are all of their own."""
    torch.manual_seed(0)
    supernet = build_supernet(space, TASK, input_shape=SHAPE, **arguments)
    assert isinstance(supernet, ChainSupernet)
    with torch.no_grad():
        for tensor in supernet.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return supernet


def images(n: int = 4) -> Tensor:
    return torch.randn(n, *SHAPE)


def build(architecture: Architecture) -> torch.nn.Module:
    return TASK.network(build_chain_backbone(architecture, input_shape=SHAPE))


# Paths.


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SPACES)
def test_a_path_is_the_single_network(name: str, training: bool, affine: bool) -> None:
    space, rng = SPACES[name], np.random.default_rng(0)
    supernet = make(space, affine=affine)
    for architecture in [space.sample(rng) for _ in range(40)]:
        network = build(architecture)
        inherit_weights(network, supernet, architecture)
        supernet.train(training)
        network.train(training)
        batch, path = images(), supernet.path(architecture)
        torch.testing.assert_close(supernet(batch, path), network(batch), atol=1e-6, rtol=0)
        if training:  # Both have met the same batch, also in their statistics.
            found = supernet.inherited_state(architecture)
            for key, value in network.state_dict().items():
                if "running" in key:
                    torch.testing.assert_close(found[key], value, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", SPACES)
def test_inherited_names_and_shapes_are_those_of_the_single_network(name: str) -> None:
    space, rng = SPACES[name], np.random.default_rng(1)
    supernet = make(space)
    for architecture in [space.sample(rng) for _ in range(30)]:
        own = build(architecture).state_dict()
        found = supernet.inherited_state(architecture)
        assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in own.items()}


def test_a_kernel_is_the_centre_and_the_first_channels_of_the_largest() -> None:
    supernet = make()
    whole = supernet.state_dict()["network.backbone.layers.layer_2.conv.weight"]
    assert whole.shape == (8, 8, 5, 5)
    found = supernet.inherited_state(SPACE.from_string("C6k1-C3k3"))
    assert torch.equal(found["backbone.features.layer_2.conv.weight"], whole[:3, :6, 1:4, 1:4])


def test_the_first_dense_layer_has_weights_for_each_size_of_the_map() -> None:
    supernet = make()
    for text, size in [("C3k1-O4", (9, 8)), ("C3k1-Smax2-O4", (5, 4)), ("C3k1-Smax3-O4", (3, 3))]:
        found = supernet.inherited_state(SPACE.from_string(text))["backbone.dense.dense_1.weight"]
        held = supernet.state_dict()[f"network.backbone.dense.first.{size[0]}x{size[1]}.weight"]
        assert held.shape == (9, 8 * size[0] * size[1])
        rows = held.reshape(9, 8, *size)[:4, :3]
        assert torch.equal(found, rows.reshape(4, -1))


def test_gradients_of_a_path_stay_in_its_part() -> None:
    supernet = make()
    supernet(images(), supernet.path(SPACE.from_string("C3k3-Smax2-O4"))).square().sum().backward()
    grads = {n: p.grad for n, p in supernet.network.named_parameters() if p.grad is not None}
    assert set(grads) == {
        "backbone.layers.layer_1.conv.weight",
        "backbone.layers.layer_1.norm.weight",
        "backbone.layers.layer_1.norm.bias",
        "backbone.dense.first.5x4.weight",
        "backbone.dense.first.5x4.bias",
        "head.weight",
        "head.bias",
    }
    columns = grads["head.weight"][:, 8 : 8 + 4]  # Behind the 8 channels of a pooled map.
    assert columns.any()
    assert grads["head.weight"].count_nonzero() == columns.count_nonzero()
    grad = grads["backbone.layers.layer_1.conv.weight"]
    assert grad[:3, :, 1:4, 1:4].any()
    assert grad.count_nonzero() == grad[:3, :, 1:4, 1:4].count_nonzero()


def test_a_dropped_choice_is_not_built_and_its_architecture_refused() -> None:
    supernet = make(SPACES["pools"])
    assert not any("conv" in name for name, _ in supernet.named_parameters())
    for method in (supernet.path, supernet.inherited_state):
        with pytest.raises(ValueError, match="layer_1_type"):
            method(SPACE.from_string("C3k3"))


def test_normalisation_keeps_its_statistics_where_those_of_the_batch_are_asked_for() -> None:
    supernet = make().eval()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    batch, path = images(), supernet.path(SPACE.from_string("C3k3-C6k5"))
    with batch_statistics(supernet):
        found = supernet(batch, path)
    assert all(torch.equal(before[n], t) for n, t in supernet.state_dict().items())
    torch.testing.assert_close(found, supernet.train()(batch, path))


def test_statistics_can_be_measured_anew() -> None:
    supernet, architecture = make(), SPACE.from_string("C6k3-C8k3")
    path = supernet.path(architecture)
    network = supernet.network_of(architecture)
    batches = [images() for _ in range(3)]
    recalibrate(network, batches)

    class Path(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.supernet = supernet

        def forward(self, x: Tensor) -> Tensor:
            return self.supernet(x, path)  # type: ignore[no-any-return]

    recalibrate(Path(), batches)
    found = supernet.inherited_state(architecture)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=0)


# Soft gates, against sums written by hand.


def soft(supernet: ChainSupernet, text: str, **weights: list[float]) -> dict[str, Gate]:
    """Return the path of a chain with some gates soft."""
    gates = supernet.path(SPACE.from_string(text))
    for name, values in weights.items():
        gates[name] = Gate(tuple(range(len(values))), torch.tensor(values))
    return gates


@pytest.mark.parametrize("training", [True, False])
def test_a_mixture_of_depths_is_that_of_the_networks(training: bool) -> None:
    supernet, batch = make().train(training), images()
    weights = [0.1, 0.4, 0.2, 0.3]
    texts = ["C6k3", "C6k3-Smax2", "C6k3-Smax2-C3k5", "C6k3-Smax2-C3k5-Savg3"]
    texts = [f"{text}-O9" for text in texts]
    networks = [supernet.network_of(SPACE.from_string(text)).train(training) for text in texts]
    expected = sum(w * n(batch) for w, n in zip(weights, networks, strict=True))
    found = supernet(batch, soft(supernet, texts[-1], depth=weights))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_mixture_of_dense_depths_is_that_of_the_networks() -> None:
    supernet, batch = make().eval(), images()
    weights = [0.5, 0.2, 0.3]
    networks = [
        supernet.network_of(SPACE.from_string(f"C6k3{dense}")).eval()
        for dense in ("", "-O9", "-O9-O4")
    ]
    expected = sum(w * n(batch) for w, n in zip(weights, networks, strict=True))
    found = supernet(batch, soft(supernet, "C6k3-O9-O4", dense_depth=weights))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_mixtures_of_kernels_filters_poolings_and_units_are_sums_of_outputs() -> None:
    supernet, batch = make().eval(), images()
    kernels, filters = [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]
    poolings, units = [0.7, 0.3], [0.25, 0.75]
    found = supernet(
        batch,
        soft(
            supernet,
            "C6k3-Smax2-O9",
            layer_1_kernel_size=kernels,
            layer_1_filters=filters,
            layer_2_pooling=poolings,
            dense_1_units=units,
        ),
    )
    backbone = supernet.network.backbone
    layer = backbone.layers["layer_1"]
    weight = layer.conv.weight[:, :2]
    outputs = [  # Kernel sizes 5, 1 and 3.
        F.conv2d(batch, weight, padding=2),
        F.conv2d(batch, weight[:, :, 2:3, 2:3]),
        F.conv2d(batch, weight[:, :, 1:4, 1:4], padding=1),
    ]
    x = sum(w * output for w, output in zip(kernels, outputs, strict=True))
    norm = layer.norm
    x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    x = torch.relu(x)
    padded = []  # 6, 3 and 8 filters.
    for n in (6, 3, 8):
        part = torch.zeros_like(x)
        part[:, :n] = x[:, :n]
        padded.append(part)
    x = sum(w * part for w, part in zip(filters, padded, strict=True))
    x = 0.7 * F.max_pool2d(x, 2, ceil_mode=True) + 0.3 * F.avg_pool2d(x, 2, ceil_mode=True)
    y = torch.relu(backbone.dense.first["5x4"](x.flatten(1)))
    narrow = torch.cat([y[:, :4], torch.zeros_like(y[:, 4:])], dim=1)
    features = torch.cat([torch.zeros(len(y), 8), 0.25 * narrow + 0.75 * y], dim=1)
    expected = supernet.network.head(features)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_certain_soft_gates_are_the_path() -> None:
    supernet, rng = make().eval(), np.random.default_rng(4)
    for architecture in [SPACE.sample(rng) for _ in range(20)]:
        path = supernet.path(architecture)
        gates = {
            name: Gate(tuple(range(len(choices))), torch.eye(len(choices))[path[name].active[0]])
            if name in supernet.mixable and path[name].active
            else path[name]
            for name, choices in supernet.choices.items()
        }
        # Kernels and layers of no weight are computed, so those decisions need some choice.
        filled = {
            name: gate if gate.active else Gate((0,), torch.ones(1))
            for name, gate in gates.items()
        }
        batch = images()
        torch.testing.assert_close(
            supernet(batch, filled), supernet(batch, path), atol=1e-5, rtol=1e-5
        )


# Training.


@pytest.mark.parametrize("relaxation", [Gdas, Darts])
def test_every_active_decision_gets_a_gradient(relaxation: type[LogitRelaxation]) -> None:
    # With pools of 3 the map would be one pixel, whose mean is its maximum.
    space = SPACE.freeze({f"layer_{i}_pool_size": 2 for i in range(1, 5)})
    supernet = make(space, affine=False)
    learned = relaxation(supernet)
    step = Step(3, 0.2, 0.1)
    batch = Samples(images(8), torch.arange(8) % 3)
    gates = learned.gates(supernet, step, 1)
    learned.architecture_step(supernet, batch, batch, step, lambda loss: loss.backward())
    params: dict[str, Any] = {}
    for name, distribution in space.distributions.items():
        gate = gates[name]
        if space.is_active(name, params):
            # A mixture of depths computes all layers, of which those of the deepest are active.
            deepest = name in ("depth", "dense_depth")
            place = max(gate.active) if deepest else gate.active[0]
            params[name] = choices_of(distribution)[place]
            grad = learned.logits[name].grad
            assert grad is not None, name
            assert len(grad) == 1 or grad.abs().max() > 1e-6, name
    assert len(params) >= 4


def test_derive_is_the_most_likely_chain() -> None:
    supernet = make()
    gates = {n: torch.full((len(c),), 1 / len(c)) for n, c in supernet.choices.items()}
    gates |= {
        "depth": torch.tensor([0.1, 0.7, 0.1, 0.1]),
        "layer_1_type": torch.tensor([0.4, 0.6]),
        "layer_1_pool_size": torch.tensor([0.2, 0.8]),
        "layer_2_filters": torch.tensor([0.2, 0.5, 0.3]),
    }
    assert SPACE.to_string(supernet.derive(gates)) == "Smax3-C3k5"


def test_types_and_pool_sizes_take_one_choice() -> None:
    supernet = make()
    apart = set(supernet.choices) - supernet.mixable
    assert apart == {f"layer_{i}_{part}" for i in range(1, 5) for part in ("type", "pool_size")}


def test_pc_darts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Expected the supernet .*`chain` .*partial_channels"):
        make(**PartialChannels.supernet_arguments)
    with pytest.raises(ValueError, match=r"^Expected argument `supernet`.*`chain` without cells"):
        PartialChannels(make())
