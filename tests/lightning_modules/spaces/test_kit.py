"""One table of kits, and what is true of each of them."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules import as_kit
from lightning_modules import Backbone
from lightning_modules import build_chain_backbone
from lightning_modules import Classification
from lightning_modules import Kit
from lightning_modules import Network
from lightning_modules import read_architecture
from lightning_modules import Regression
from lightning_modules import SPACES
from lightning_modules import Task
from lightning_modules.supernet import build_supernet
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.spaces import AMOEBANET_A
from optuna_nas.spaces import DARTS_V2
from optuna_nas.spaces import EFFICIENTNET_B0
from optuna_nas.spaces import FBNET_C
from optuna_nas.spaces import MOBILENET_V3_LARGE
from optuna_nas.spaces import MobileStage


KITS: dict[str, tuple[Kit, dict[str, Any]]] = {
    "cell": (as_kit("cell"), {"channels": 4, "cells_per_stage": 2}),
    "chain": (as_kit(ChainSpace(pool_sizes=(2, 3))), {}),
    "darts": (as_kit("darts"), {"channels": 2, "cells": 5}),
    "nasnet": (as_kit("nasnet"), {"channels": 2, "cells": 2}),
    "mobile": (as_kit("mobile"), {"dropout": 0.1}),
    "fbnet": (as_kit("fbnet"), {}),
    "mobilenet-v3": (as_kit("mobilenet-v3"), {}),
    "efficientnet": (as_kit("efficientnet"), {}),
}
TASKS: dict[str, Task] = {"classification": Classification(5), "regression": Regression(3)}
SHAPES = [(1, 8, 8), (3, 20, 32), (2, 5, 3), (1, 1, 1)]
COUNTS = {"cell": 20, "chain": 20, "darts": 4, "nasnet": 3, "mobile": 6}


def members(name: str, seed: int = 0, n: int | None = None) -> list[Any]:
    space, rng = KITS[name][0].make_space(), np.random.default_rng(seed)
    prior = Prior(space, {})  # Each decision uniform: not nearly all of the largest depths.
    return [prior.sample(rng) for _ in range(n or COUNTS.get(name, 2))]


def test_the_table_is_complete() -> None:
    images = [name for name in SPACES.names if as_kit(name).facts == ("input_shape",)]
    assert sorted(KITS) == images


# Networks.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", KITS)
def test_random_members_run_forward_and_backward(
    name: str, task: str, shape: tuple[int, int, int]
) -> None:
    kit, sizes = KITS[name]
    build = TASKS[task].builder(kit.builder(input_shape=shape, **sizes))
    for architecture in members(name):
        network = build(architecture)
        output = network(torch.randn(2, *shape))
        assert output.shape == (2, 5 if task == "classification" else 3), architecture
        assert output.isfinite().all()
        output.sum().backward()
        for parameter_name, parameter in network.named_parameters():
            # Every weight that wants a gradient gets one, as DistributedDataParallel demands.
            assert parameter.requires_grad == (parameter.grad is not None), parameter_name
        assert not any(isinstance(m, nn.modules.lazy.LazyModuleMixin) for m in network.modules())
        assert {name.partition(".")[0] for name in network.state_dict()} == {"backbone", "head"}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", KITS)
def test_feature_maps_are_those_announced(name: str, shape: tuple[int, int, int]) -> None:
    kit, sizes = KITS[name]
    for architecture in members(name, seed=1):
        backbone = kit.backbone(architecture, input_shape=shape, **sizes).eval()
        assert isinstance(backbone, Backbone)
        images = torch.randn(2, *shape)
        with torch.inference_mode():
            features, maps = backbone(images), backbone.feature_maps(images)
        assert features.shape == (2, backbone.n_features)
        assert len(maps) == len(backbone.maps) > 0
        strides = [stride for _, stride in backbone.maps]
        assert strides == sorted(set(strides))
        for found, (channels, stride) in zip(maps, backbone.maps, strict=True):
            size = (-(-side // stride) for side in shape[1:])
            assert found.shape == (2, channels, *size), architecture


def test_the_last_map_is_where_the_features_come_from() -> None:
    images = torch.randn(2, 1, 9, 9)
    for name in ("cell", "darts", "nasnet"):
        kit, sizes = KITS[name]
        backbone = kit.backbone(members(name)[0], input_shape=(1, 9, 9), **sizes).eval()
        last = backbone.feature_maps(images)[-1]
        torch.testing.assert_close(backbone(images), last.mean(dim=(2, 3)))


def test_a_stride_tells_of_the_images_before_they_are_resized() -> None:
    stage = MobileStage(depths=(1, 1), widths=(8,), strides=(2,))
    space = MobileSpace([stage], resolutions=(16,))
    backbone = as_kit(space).backbone(space.complete({}), input_shape=(1, 32, 32))
    assert backbone.maps == ((16, 2), (8, 4))
    assert [m.shape[2] for m in backbone.feature_maps(torch.randn(2, 1, 32, 32))] == [16, 8]


@pytest.mark.parametrize("name", KITS)
def test_builders_pickle(name: str) -> None:
    kit, sizes = KITS[name]
    build = TASKS["regression"].builder(kit.builder(input_shape=(1, 8, 8), **sizes))
    architecture = members(name)[0]
    states = []
    for builder in (build, pickle.loads(pickle.dumps(build))):
        torch.manual_seed(0)
        states.append(builder(architecture).state_dict())
    assert all(torch.equal(states[1][key], value) for key, value in states[0].items())


@pytest.mark.parametrize("name", KITS)
def test_small_sizes_are_arguments_of_backbone_latency_and_supernet(name: str) -> None:
    kit = as_kit(name)
    kit.backbone(members(name)[0], input_shape=(1, 8, 8), **kit.small)
    for of in (kit.backbone, kit.latency_terms, kit.supernet):
        assert of is not None
        assert set(kit.small) <= set(inspect.signature(of).parameters)


class FromMaps(Regression):
    """A regression whose head reads all feature maps."""

    reads_maps = True

    def head(self, backbone: Backbone) -> nn.Module:
        return MapHead([channels for channels, _ in backbone.maps], self.n_outputs)


class MapHead(nn.Module):
    def __init__(self, widths: list[int], n_outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, n_outputs) for width in widths)

    def forward(self, maps: list[Tensor]) -> Tensor:
        pairs = zip(self.layers, maps, strict=True)
        return torch.stack([layer(x.mean(dim=(2, 3))) for layer, x in pairs]).sum(dim=0)


@pytest.mark.parametrize("name", KITS)
def test_a_head_can_read_the_maps(name: str) -> None:
    kit, sizes = KITS[name]
    network = FromMaps(4).network(kit.backbone(members(name)[0], input_shape=(1, 9, 9), **sizes))
    assert isinstance(network, Network)
    assert network(torch.randn(2, 1, 9, 9)).shape == (2, 4)


# Supernets.


class Deep(Regression):
    """A regression whose head has a hidden layer."""

    def head(self, backbone: Backbone) -> nn.Module:
        return nn.Sequential(
            nn.Linear(backbone.n_features, 7), nn.ReLU(), nn.Linear(7, self.n_outputs)
        )


class Square(Regression):
    """A regression whose head is as wide as the features."""

    def head(self, backbone: Backbone) -> nn.Module:
        n = backbone.n_features
        return nn.Sequential(nn.Linear(n, n), nn.Linear(n, self.n_outputs))


SUPERNET_SPACES: dict[str, SearchSpace] = {
    "chain": ChainSpace(max_depth=3),
    "nasnet": DartsSpace(n_nodes=2, distinct=False),  # Loose nodes have no supernet.
}


@pytest.mark.parametrize("task", [Regression(3), Deep(3)], ids=["linear", "deep"])
@pytest.mark.parametrize("name", KITS)
def test_a_path_is_the_single_network(name: str, task: Task) -> None:
    kit, sizes = KITS[name]
    space = SUPERNET_SPACES.get(name, kit.make_space())
    torch.manual_seed(0)
    supernet = build_supernet(space, task, kit=kit, input_shape=(1, 8, 8), **sizes).eval()
    assert supernet.task is task
    rng, images, targets = np.random.default_rng(0), torch.randn(4, 1, 8, 8), torch.randn(4, 3)
    with torch.no_grad():
        for _ in range(10 if name == "chain" else 2):
            architecture = Prior(space, {}).sample(rng)
            network = supernet.network_of(architecture).eval()
            path = supernet.path(architecture)
            output = supernet(images, path)
            assert output.shape == (4, 3)
            torch.testing.assert_close(output, network(images), atol=1e-6, rtol=0)
            torch.testing.assert_close(
                supernet.loss(images, targets, path), task.loss(output, targets)
            )


@pytest.mark.parametrize("name", ["cell", "darts"])
def test_a_supernet_of_cells_takes_a_head_that_reads_maps(name: str) -> None:
    kit, sizes = KITS[name]
    supernet = build_supernet(kit.make_space(), FromMaps(2), input_shape=(1, 8, 8), **sizes).eval()
    architecture, images = members(name)[0], torch.randn(2, 1, 8, 8)
    network = supernet.network_of(architecture).eval()
    output = supernet(images, supernet.path(architecture))
    torch.testing.assert_close(output, network(images), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["chain", "mobile"])
def test_heads_that_a_supernet_cannot_serve(name: str) -> None:
    kit = as_kit(name)
    space = SUPERNET_SPACES.get(name, MobileSpace(head_widths=(8, 16)))
    with pytest.raises(ValueError, match=r"`task` to have a head that reads the feature vector"):
        build_supernet(space, FromMaps(2), kit=kit, input_shape=(1, 8, 8))
    supernet = build_supernet(space, Square(2), kit=kit, input_shape=(1, 8, 8))
    narrow = space.complete({"head_width": 8} if name == "mobile" else {})
    with pytest.raises(ValueError, match="second axis of weights alone but got `0.weight`"):
        supernet.network_of(narrow)


# Finding kits.


class OwnSpace(CellSpace):
    """A space that makes its own networks."""

    def build(self, architecture: Any) -> nn.Module:
        return _linear(architecture)


def _linear(architecture: Any) -> nn.Module:
    return nn.Linear(2, len(str(architecture["edge_0_1"])))


OWN = CustomSpace(CellSpace().distributions, build=_linear)
SMALL = CellSpace(n_nodes=3)


def test_kits_of_spaces() -> None:
    kit = SPACES.get("cell")
    assert as_kit("cell") is as_kit(kit) is kit
    space = CellSpace().freeze({"edge_0_1": "none"})
    found = pickle.loads(pickle.dumps(as_kit(space)))
    assert found.make_space().size == space.size
    assert found.backbone is kit.backbone
    assert found.small == kit.small
    assert as_kit(MobileSpace.fbnet()).marks == as_kit("fbnet").marks == "|stem"


@pytest.mark.parametrize(
    "own", [OWN, OwnSpace(), f"{__file__}:OWN", f"{__file__}:OwnSpace"], ids=range(4)
)
def test_a_space_that_builds_its_networks(own: SearchSpace | str) -> None:
    kit = as_kit(own)
    assert kit.builds_itself
    space = kit.make_space()
    architecture = space.complete({"edge_0_1": "none"})
    network = kit.builder(input_shape=(9, 9, 9))(architecture)
    assert Regression().network(network) is network  # It has a head already.
    assert network.weight.shape == (4, 2)
    with pytest.raises(ValueError, match="`space` to have a kit with a supernet but got one of"):
        build_supernet(space, Regression(), input_shape=(1, 8, 8))


def test_a_space_of_ours_in_a_file() -> None:
    kit = as_kit(f"{__file__}:SMALL")
    assert kit.make_space().size == SMALL.size
    assert kit.backbone is as_kit("cell").backbone


def test_a_kit_of_ones_own() -> None:
    space = ChainSpace(max_depth=1)
    kit = Kit(lambda: space, build_chain_backbone, supernet=as_kit("chain").supernet)
    build = Regression().builder(kit.builder(input_shape=(1, 4, 4)))
    assert build(space.complete({}))(torch.randn(2, 1, 4, 4)).shape == (2, 1)
    assert not kit.builds_itself
    assert build_supernet(space, Regression(), kit=kit, input_shape=(1, 4, 4)).space is space


def test_a_space_without_networks_has_no_kit_even_under_its_own_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Bare(CellSpace):
        name = "bare"

    monkeypatch.setattr(SPACES, "_added", {"bare": Bare})
    with pytest.raises(ValueError, match="a kit, or a search space with a method `build` but got"):
        as_kit("bare")


def test_no_kit() -> None:
    with pytest.raises(ValueError, match=r"`space` to be one of cell, .* but got 'cells'"):
        as_kit("cells")
    other = CustomSpace({"x": CellSpace().distributions["edge_0_1"]})
    with pytest.raises(ValueError, match=r"`option` to be of cell, chain, .* one of 'custom'"):
        as_kit(other, argument="option")


# Strings.


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("C-S-O", "chain"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "cell"),
        (DARTS_V2, "darts"),
        (AMOEBANET_A, "nasnet"),
        (MOBILENET_V3_LARGE, "mobilenet-v3"),
        (FBNET_C, "fbnet"),
        (EFFICIENTNET_B0, "efficientnet"),
    ],
)
def test_strings_are_read_in_the_space_that_can(text: str, name: str) -> None:
    found, space, architecture = read_architecture(text)
    assert found == name
    assert space.contains(architecture)
    assert space.from_string(space.to_string(architecture)) == architecture


def test_a_small_mobile_network_is_read_in_the_space_mobile() -> None:
    space = as_kit("mobile").make_space()
    architecture = space.sample(np.random.default_rng(0))
    assert read_architecture(space.to_string(architecture))[::2] == ("mobile", architecture)


@pytest.mark.parametrize(
    ("text", "likely"),
    [("fbnet|stem16s2|x", "mobile"), ("|x~0|", "cell"), ("Genotype(x)", "darts"), ("X", "chain")],
)
def test_strings_that_nothing_can_read(text: str, likely: str) -> None:
    problem = f"string of an architecture but got .* As an architecture of the space {likely}: "
    with pytest.raises(ValueError, match=problem):
        read_architecture(text)
