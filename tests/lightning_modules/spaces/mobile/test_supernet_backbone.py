"""Mixtures of mobile networks: sums written by hand, and the gradients of weights of choices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules.spaces.mobile import MobileSupernet
from lightning_modules.supernet import Gate
from optuna_nas import Architecture
from optuna_nas import MobileSpace
from optuna_nas.spaces import MobileStage
from tests.lightning_modules.spaces.mobile.supernets import EVERYTHING
from tests.lightning_modules.spaces.mobile.supernets import images
from tests.lightning_modules.spaces.mobile.supernets import make
from tests.lightning_modules.spaces.mobile.supernets import PARTS
from tests.lightning_modules.spaces.mobile.supernets import sample
from tests.lightning_modules.spaces.mobile.supernets import single


@pytest.mark.parametrize("soft", [True, False])
def test_gates_of_float32_keep_bfloat16(soft: bool) -> None:
    supernet = make(EVERYTHING).float()
    gates = {
        name: Gate(tuple(range(len(choices))), torch.full((len(choices),), 1 / len(choices)))
        if soft and name in supernet.mixable
        else Gate((0,), torch.ones(1))
        for name, choices in supernet.choices.items()
    }
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = supernet(images().float(), gates)
    assert logits.dtype == torch.bfloat16
    exact = supernet(images().float(), gates)
    assert exact.dtype == torch.float32


# Weights of single choices.


def gradients_by_hand(network: nn.Module, architecture: Architecture, batch: Tensor) -> dict:
    """Return the gradients of scales of each block's branch and of the features."""
    scales = {name: torch.ones((), dtype=torch.float64, requires_grad=True) for name in ("all",)}
    handles = [network.head.register_forward_pre_hook(lambda m, args: (args[0] * scales["all"],))]
    for name, block in network.backbone.blocks.named_children():
        if block.residual:
            scale = scales[name] = torch.ones((), dtype=torch.float64, requires_grad=True)
            handles.append(block.layers.register_forward_hook(lambda m, a, y, s=scale: y * s))
    network(batch).square().sum().backward()
    for handle in handles:
        handle.remove()
    return {name: scale.grad for name, scale in scales.items()}


def test_weights_of_single_choices_have_the_gradient_of_what_they_make() -> None:
    space = EVERYTHING.freeze({"depth_coefficient": 1.0})
    supernet, rng, seen = make(space), np.random.default_rng(5), set()
    for architecture in [sample(space, rng) for _ in range(15)]:
        batch = images()
        expected = gradients_by_hand(single(supernet, architecture), architecture, batch)
        weights = {
            name: torch.ones(1, dtype=torch.float64, requires_grad=True) for name in architecture
        }
        gates = {
            name: gate._replace(weights=weights[name])
            for name, gate in supernet.path(architecture).items()
        }
        supernet(batch, gates).square().sum().backward()
        for name, weight in weights.items():
            if architecture[name] == "skip":
                assert weight.grad is None
                continue
            block = name.rpartition("_")[0]
            where = block if block in expected else "all"
            seen.add((where != "all", name.rpartition("_")[2]))
            assert weight.grad is not None, name
            torch.testing.assert_close(weight.grad[0], expected[where])
    parts = {"kernel", "expansion", "se", "activation"}
    assert {(inside, part) for inside in (True, False) for part in parts} < seen


# Mixtures, against sums written by hand.

ONE = MobileSpace(
    [MobileStage(depths=(1, 3), widths=(8, 12), skip=True, **PARTS)],
    stem_widths=(6, 8),
    head_widths=(10, 20),
)
BLOCK = "stage_1_block_1"
START = ONE.complete(
    {
        "stem_width": 8,
        "stage_1_depth": 1,
        "stage_1_width": 12,
        f"{BLOCK}_kernel": 3,
        f"{BLOCK}_expansion": 2,
        f"{BLOCK}_se": 0.5,
        f"{BLOCK}_activation": "hswish",
    }
)
WEIGHTS = torch.tensor([0.2, 0.5, 0.3, 0.6], dtype=torch.float64)


def mix(supernet: MobileSupernet, name: str, batch: Tensor, start: Architecture = START) -> Tensor:
    """Return the logits of a mixture of all choices of a decision."""
    n = len(supernet.choices[name])
    deep = supernet.path(supernet.space.complete({**start, "stage_1_depth": 3}))
    gates = {**deep, **supernet.path(start), name: Gate(tuple(range(n)), WEIGHTS[:n])}
    return supernet(batch, gates)


def networks(supernet: MobileSupernet, name: str, start: Architecture = START) -> list[nn.Module]:
    """Return a single network for each choice of a decision."""
    return [
        single(supernet, ONE.complete({**start, name: choice}))
        for choice in supernet.choices[name]
    ]


def finish(network: nn.Module, x: Tensor) -> Tensor:
    return network.head(network.backbone.last(x))


def combine(parts: list[Tensor]) -> Tensor:
    """Return the weighted sum of maps or features, with zeros for missing channels."""
    widest = max(part.shape[1] for part in parts)
    total = torch.zeros(len(parts[0]), widest, *parts[0].shape[2:], dtype=torch.float64)
    for weight, part in zip(WEIGHTS, parts, strict=False):
        total[:, : part.shape[1]] += weight * part
    return total


def test_kernels_are_mixed_before_normalisation() -> None:
    supernet, batch = make(ONE).eval(), images()
    nets = networks(supernet, f"{BLOCK}_kernel")
    h = nets[0].backbone.blocks[0].layers.expand(nets[0].backbone.stem(batch))
    depthwise = [net.backbone.blocks[0].layers.depthwise for net in nets]
    z = depthwise[0].activation(depthwise[0].norm(combine([d.conv(h) for d in depthwise])))
    layers = nets[0].backbone.blocks[0].layers
    expected = finish(nets[0], layers.project(layers.se(z)))
    torch.testing.assert_close(mix(supernet, f"{BLOCK}_kernel", batch), expected)


@pytest.mark.parametrize("style_ratio", [0, 0.5])
def test_expansions_are_mixed_behind_the_depthwise_convolution(style_ratio: float) -> None:
    supernet, batch = make(ONE).eval(), images()
    name, start = f"{BLOCK}_expansion", ONE.complete({**START, f"{BLOCK}_se": style_ratio})
    nets = networks(supernet, name, start)
    hidden = []
    for net in nets:
        layers = net.backbone.blocks[0].layers
        x = net.backbone.stem(batch)
        hidden.append(layers.depthwise(layers.expand(x) if hasattr(layers, "expand") else x))
    assert [h.shape[1] for h in hidden] == [8, 24, 16]
    widest = nets[1].backbone.blocks[0].layers  # Of expansion 2.3.
    z = combine(hidden)
    z = widest.se(z) if style_ratio else z
    expected = finish(nets[1], widest.project(z))
    torch.testing.assert_close(mix(supernet, name, batch, start), expected)


def test_squeeze_excitations_are_mixed() -> None:
    supernet, batch = make(ONE).eval(), images()
    nets = networks(supernet, f"{BLOCK}_se")
    layers = nets[0].backbone.blocks[0].layers
    z = layers.depthwise(layers.expand(nets[0].backbone.stem(batch)))
    parts = [getattr(net.backbone.blocks[0].layers, "se", nn.Identity())(z) for net in nets]
    expected = finish(nets[0], layers.project(combine(parts)))
    torch.testing.assert_close(mix(supernet, f"{BLOCK}_se", batch), expected)


def test_activations_are_mixed() -> None:
    supernet, batch = make(ONE).eval(), images()
    net = single(supernet, START)
    functions = [nn.ReLU(), nn.Hardswish(), nn.SiLU(), nn.ReLU6()]
    layers = net.backbone.blocks[0].layers
    h = layers.expand.norm(layers.expand.conv(net.backbone.stem(batch)))
    h = combine([f(h) for f in functions])
    z = layers.depthwise.norm(layers.depthwise.conv(h))
    z = combine([f(z) for f in functions])
    expected = finish(net, layers.project(layers.se(z)))
    torch.testing.assert_close(mix(supernet, f"{BLOCK}_activation", batch), expected)


@pytest.mark.parametrize("residual", [True, False])
def test_widths_of_a_stage_are_mixed(residual: bool) -> None:
    supernet, batch = make(ONE).eval(), images()
    start = ONE.complete({**START, "stem_width": 8 if residual else 6})
    nets = networks(supernet, "stage_1_width", start)
    assert [net.backbone.blocks[0].residual for net in nets] == [residual, False]
    expected = finish(
        nets[1], combine([net.backbone.blocks(net.backbone.stem(batch)) for net in nets])
    )
    torch.testing.assert_close(mix(supernet, "stage_1_width", batch, start), expected)


def test_depths_are_mixed() -> None:
    supernet, batch = make(ONE).eval(), images()
    nets = networks(supernet, "stage_1_depth")
    expected = finish(
        nets[0], combine([net.backbone.blocks(net.backbone.stem(batch)) for net in nets])
    )
    torch.testing.assert_close(mix(supernet, "stage_1_depth", batch), expected)


def test_depths_are_mixed_where_blocks_are_repeated() -> None:
    space = EVERYTHING.freeze({"depth_coefficient": 1.6})
    supernet, batch = make(space).eval(), images()
    start = sample(space, np.random.default_rng(6))
    nets = [
        single(supernet, space.complete({**start, "stage_2_depth": depth})) for depth in (1, 2, 3)
    ]
    maps = [net.backbone.blocks(net.backbone.stem(net.backbone.resize(batch))) for net in nets]
    assert [len(net.backbone.blocks) for net in nets] == sorted(
        {len(net.backbone.blocks) for net in nets}
    )
    gates = {
        **{name: Gate((0,)) for name in supernet.choices},
        **supernet.path(space.complete({**start, "stage_2_depth": 3})),
        "stage_2_depth": Gate((0, 1, 2), WEIGHTS[:3]),
    }
    expected = finish(nets[0], combine(maps))
    torch.testing.assert_close(supernet(batch, gates), expected)


def test_skips_are_mixed() -> None:
    supernet, batch = make(ONE).eval(), images()
    name, start = "stage_1_block_2_type", ONE.complete({**START, "stage_1_depth": 2})
    nets = networks(supernet, name, start)
    gates = {**supernet.path(start), name: Gate((0, 1), torch.tensor([0.3, 0.7]).double())}
    maps = [net.backbone.blocks(net.backbone.stem(batch)) for net in nets]
    expected = finish(nets[0], 0.3 * maps[0] + 0.7 * maps[1])
    torch.testing.assert_close(supernet(batch, gates), expected)


def test_widths_of_the_stem_are_mixed() -> None:
    supernet, batch = make(ONE).eval(), images()
    nets = networks(supernet, "stem_width")
    expected = finish(
        nets[1], nets[1].backbone.blocks(combine([net.backbone.stem(batch) for net in nets]))
    )
    torch.testing.assert_close(mix(supernet, "stem_width", batch), expected)


def test_widths_of_the_head_are_mixed() -> None:
    for style in ("mobilenet_v3", "fbnet"):
        space = MobileSpace(ONE.stages, styles=(style,), head_widths=(10, 20))
        supernet, batch = make(space).eval(), images()
        start = space.complete({"stage_1_depth": 1})
        nets = [single(supernet, space.complete({**start, "head_width": w})) for w in (10, 20)]
        features = [
            net.backbone.last(net.backbone.blocks(net.backbone.stem(batch))) for net in nets
        ]
        expected = nets[1].head(combine(features))
        torch.testing.assert_close(mix(supernet, "head_width", batch, start), expected)


def test_all_mixtures_at_once_have_gradients_everywhere() -> None:
    space = EVERYTHING.freeze({"stage_1_stride": 1, "stage_2_stride": 1})
    supernet = make(space)
    logits: Mapping[str, Tensor] = {
        name: torch.zeros(len(choices), dtype=torch.float64, requires_grad=True)
        for name, choices in supernet.choices.items()
    }
    gates = {
        name: Gate(tuple(range(len(logit))), logit.softmax(0))
        if name in supernet.mixable
        else Gate((0,), logit.softmax(0)[:1])
        for name, logit in logits.items()
    }
    supernet(images(), gates).square().sum().backward()
    for name, logit in logits.items():
        assert logit.grad is not None, name
        assert logit.grad.isfinite().all(), name
        assert len(logit) == 1 or logit.grad.abs().max() > 1e-9, name
