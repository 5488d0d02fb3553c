"""Networks of inverted bottlenecks: published costs, shapes, and what equal keys promise."""

from __future__ import annotations

import functools

import numpy as np
import optuna
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lightning_modules import build_mobile_backbone
from lightning_modules import Classification
from lightning_modules import count_macs
from lightning_modules import count_params
from lightning_modules import InvertedBottleneck
from lightning_modules import TrainingEvaluator
from lightning_modules.data import DigitsDataModule
from lightning_modules.spaces.mobile.network import SqueezeExcitation
from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import MobileSpace
from optuna_nas.spaces import EFFICIENTNET_SCALING
from optuna_nas.spaces import MobileBlock
from optuna_nas.spaces import MobileStage


SPACE = MobileSpace()


def on_meta(architecture: Architecture) -> nn.Module:
    with torch.device("meta"):
        backbone = build_mobile_backbone(architecture, input_shape=(3, 224, 224))
        return Classification(1000).network(backbone)


# Published costs.


@pytest.mark.parametrize(
    ("space", "params", "macs", "tolerance"),
    [
        (MobileSpace.mobilenet_v3(), 5.4e6, 219e6, 0.03),
        (MobileSpace.efficientnet(), 5.3e6, 390e6, 0.03),
        (MobileSpace.fbnet(), 5.5e6, 375e6, 0.06),
    ],
    ids=["mobilenet-v3-large", "efficientnet-b0", "fbnet-c"],
)
def test_published_costs(space: MobileSpace, params: float, macs: float, tolerance: float) -> None:
    network = on_meta(space.reference())
    assert count_params(network) == pytest.approx(params, rel=tolerance)
    assert count_macs(network, (3, 224, 224)) == pytest.approx(macs, rel=tolerance)


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [("b0", 5.3e6, 0.39e9), ("b1", 7.8e6, 0.70e9), ("b4", 19e6, 4.2e9), ("b7", 66e6, 37e9)],
)
def test_published_costs_of_compound_scaling(name: str, params: float, macs: float) -> None:
    """Tan & Le, ICML 2019, table 2, of images of 224 pixels that the network enlarges."""
    space = MobileSpace.efficientnet(scaling=True)
    width, depth, resolution = EFFICIENTNET_SCALING[name]
    architecture = space.architecture(
        {
            **space.reference(),
            "width_coefficient": width,
            "depth_coefficient": depth,
            "resolution": resolution,
        }
    )
    network = on_meta(architecture)
    assert count_params(network) == pytest.approx(params, rel=0.03)
    assert count_macs(network, (3, 224, 224)) == pytest.approx(macs, rel=0.05)


# Blocks.


def test_squeeze_excitation_by_hand() -> None:
    layer = SqueezeExcitation(4, 2, gate=nn.Hardsigmoid)
    x = torch.randn(3, 4, 5, 6)
    mean = x.mean((2, 3))
    inner = F.relu(F.linear(mean, layer.reduce.weight.flatten(1), layer.reduce.bias))
    weights = F.hardsigmoid(F.linear(inner, layer.expand.weight.flatten(1), layer.expand.bias))
    torch.testing.assert_close(layer(x), x * weights[:, :, None, None])


def test_a_block_by_hand() -> None:
    block = MobileBlock("b", 4, 4, 1, 3, 8, True, 0, "relu")
    layer = InvertedBottleneck(block, "mobilenet_v3").eval()
    expand, depthwise, project = (
        parameter for parameter in layer.parameters() if parameter.ndim == 4
    )
    x = torch.randn(2, 4, 7, 7)
    y = F.relu(F.conv2d(x, expand) / (1 + 1e-5) ** 0.5)
    y = F.relu(F.conv2d(y, depthwise, padding=1, groups=8) / (1 + 1e-5) ** 0.5)
    torch.testing.assert_close(layer(x), x + F.conv2d(y, project) / (1 + 1e-5) ** 0.5)
    assert count_params(layer) == 32 + 16 + 72 + 16 + 32 + 8


@pytest.mark.parametrize(
    ("channels_out", "stride", "residual"), [(4, 1, True), (4, 2, False), (6, 1, False)]
)
def test_when_the_input_is_added(channels_out: int, stride: int, residual: bool) -> None:
    block = MobileBlock("b", 4, channels_out, stride, 5, 8, True, 2, "hswish")
    layer = InvertedBottleneck(block, "efficientnet").eval()
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 4, 7, 6)
    y = layer(x)
    assert y.shape == (2, channels_out, -(-7 // stride), -(-6 // stride))
    assert torch.equal(y, x) if residual else not y.any()


# Networks.


@pytest.mark.parametrize("input_shape", [(1, 28, 28), (3, 32, 40), (1, 8, 8), (3, 64, 64)])
def test_any_member_maps_images_to_features(input_shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(4):
        backbone = build_mobile_backbone(SPACE.sample(rng), input_shape=input_shape)
        features = backbone(torch.randn(2, *input_shape))
        assert features.shape == (2, backbone.n_features)
        features.sum().backward()
        assert all(parameter.grad is not None for parameter in backbone.parameters())


@pytest.mark.parametrize(
    "space",
    [MobileSpace.fbnet(), MobileSpace.mobilenet_v3(), MobileSpace.efficientnet()],
    ids=["fbnet", "mobilenet-v3", "efficientnet"],
)
def test_published_networks_take_small_gray_images(space: MobileSpace) -> None:
    network = build_mobile_backbone(space.reference(), input_shape=(1, 28, 28)).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 28, 28)).isfinite().all()


def test_resolution_is_that_of_the_first_convolution() -> None:
    space = MobileSpace(
        [MobileStage(depths=(1, 1), widths=(8,))], resolutions=(12, 28), head_widths=(16,)
    )
    seen = []
    for resolution in (12, 28):
        network = build_mobile_backbone(
            space.complete({"resolution": resolution}), input_shape=(1, 28, 28)
        )
        network.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        x = torch.randn(2, 1, 28, 28)
        network(x)
    assert [image.shape[-2:] for image in seen] == [(12, 12), (28, 28)]
    assert torch.equal(seen[1], x)


def test_names_are_stable() -> None:
    architecture = SPACE.complete({"stage_1_depth": 2, "stage_1_block_2_se": 0.25})
    backbone = build_mobile_backbone(architecture, input_shape=(1, 28, 28))
    network = Classification(3).network(backbone)
    names = {name for name, _ in network.named_parameters()}
    assert {
        "backbone.stem.conv.weight",
        "backbone.blocks.stage_1_block_2.layers.expand.norm.weight",
        "backbone.blocks.stage_1_block_2.layers.depthwise.conv.weight",
        "backbone.blocks.stage_1_block_2.layers.se.reduce.weight",
        "backbone.blocks.stage_1_block_2.layers.project.conv.weight",
        "backbone.last.conv.conv.weight",
        "backbone.last.linear.bias",
        "head.weight",
    } <= names


def test_equal_keys_are_equal_functions() -> None:
    space = MobileSpace([MobileStage(depths=(1, 4), widths=(8,), skip=True)], stem_widths=(8,))
    one, other = (
        space.from_string(f"mobilenet_v3|stem8s1|8s1({blocks})|head128")
        for blocks in ("k3e3_relu,skip,k5e6_relu,skip", "k3e3_relu,k5e6_relu")
    )
    assert space.canonical_key(one) == space.canonical_key(other)
    first, second = (build_mobile_backbone(a, input_shape=(1, 9, 9)).eval() for a in (one, other))
    values = list(first.state_dict().values())
    second.load_state_dict(dict(zip(second.state_dict(), values, strict=True)))
    x = torch.randn(2, 1, 9, 9)
    torch.testing.assert_close(first(x), second(x))


def test_dropout_and_what_cannot_be_built() -> None:
    build = functools.partial(build_mobile_backbone, SPACE.complete({}), input_shape=(1, 28, 28))
    assert not any(isinstance(module, nn.Dropout) for module in build().modules())
    assert any(isinstance(module, nn.Dropout) for module in build(dropout=0.2).modules())
    with pytest.raises(ValueError, match=r"`dropout` to be in \[0, 1\) but got 1"):
        build(dropout=1.0)
    with pytest.raises(ValueError, match="decisions like `stage_1_depth` but got Arch"):
        build_mobile_backbone(Architecture("mobile", {}), input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"`input_shape` .* but got \(1, 0, 8\)"):
        build_mobile_backbone(SPACE.complete({}), input_shape=(1, 0, 8))


# In a search.


def test_a_search_with_the_training_evaluator() -> None:
    space = MobileSpace.small(n_stages=2, max_depth=2)
    backbone = functools.partial(build_mobile_backbone, input_shape=(1, 8, 8))
    build = Classification(10).builder(backbone)
    evaluator = TrainingEvaluator(
        build, DigitsDataModule(batch_size=32), metrics=("val_accuracy", "macs")
    )
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(ArchitectureObjective(space, evaluator), n_trials=2)
    assert study.best_value > 0.3
    best = space.architecture(study.best_params)
    assert study.best_trial.user_attrs["metrics"]["macs"] == count_macs(build(best), (1, 8, 8))
