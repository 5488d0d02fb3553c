"""The supernet of mobile networks: its paths are single networks with parts of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules import build_network
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Gate
from lightning_modules.supernet import inherit_weights
from lightning_modules.supernet import load_supernet
from lightning_modules.supernet import MobileSupernet
from lightning_modules.supernet import save_supernet
from optuna_nas import Architecture
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.spaces import MobileStage


SIZES: dict[str, Any] = {"input_shape": (2, 9, 10), "num_classes": 3}
PARTS: dict[str, Any] = {
    "kernels": (3, 7, 1),
    "expansions": (1, 2.3, 2),
    "se_ratios": (0.5, 0, 0.25),
    "activations": ("relu", "hswish", "swish", "relu6"),
}
EVERYTHING = MobileSpace(
    [
        MobileStage(depths=(1, 2), widths=(12, 8), strides=(1, 2), skip=True, **PARTS),
        MobileStage(depths=(1, 3), widths=(8, 12, 16), strides=(1, 2), **PARTS),
    ],
    styles=("fbnet", "mobilenet_v3", "efficientnet"),
    stem_widths=(8, 12),
    stem_strides=(2, 1),
    head_widths=(20, 10),
    resolutions=(8, 11),
    width_coefficients=(1.0, 1.5, 0.7),
    depth_coefficients=(1.0, 1.6, 0.5),
)
SPACES: dict[str, SearchSpace] = {
    "default": MobileSpace(),
    "everything": EVERYTHING,
    "frozen": EVERYTHING.freeze(
        {"stage_1_depth": 1, "style": "efficientnet", "stage_2_block_1_kernel": 1}
    ),
    "late head alone": EVERYTHING.freeze({"style": "mobilenet_v3", "stage_2_width": 8}),
}


def make(space: SearchSpace, **arguments: Any) -> MobileSupernet:
    """Return a supernet in which weights, normalisation and statistics are all of their own."""
    torch.manual_seed(0)
    supernet = build_supernet(space, **{**SIZES, **arguments}).double()
    assert isinstance(supernet, MobileSupernet)
    with torch.no_grad():
        for tensor in supernet.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return supernet


def sample(space: SearchSpace, rng: np.random.Generator) -> Architecture:
    """Draw each decision uniformly; of all architectures, nearly all have the largest depths."""
    return Prior(space, {}).sample(rng)


def images(n: int = 3) -> Tensor:
    return torch.randn(n, *SIZES["input_shape"], dtype=torch.float64)


def single(supernet: MobileSupernet, architecture: Architecture) -> nn.Module:
    network = build_network(architecture, **SIZES).double()
    inherit_weights(network, supernet, architecture)
    return network.train(supernet.training)


def middle(tensor: Tensor, shape: torch.Size) -> Tensor:
    """Return the first channels and the middle of the kernel."""
    if tensor.ndim == 4:
        margin = (tensor.shape[3] - shape[3]) // 2
        end = tensor.shape[3] - margin
        return tensor[: shape[0], : shape[1], margin:end, margin:end]
    return tensor[tuple(slice(n) for n in shape)]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SPACES)
def test_a_path_is_the_single_network(name: str, training: bool, affine: bool) -> None:
    space, rng = SPACES[name], np.random.default_rng(0)
    supernet = make(space, affine=affine)
    for architecture in [sample(space, rng) for _ in range(5 if name == "default" else 15)]:
        supernet.train(training)
        network, batch = single(supernet, architecture), images()
        path = supernet.path(architecture)
        torch.testing.assert_close(supernet(batch, path), network(batch), atol=1e-6, rtol=0)
        if training:  # Both have met the same batch, also in their statistics.
            supernet.eval()
            network.eval()
            torch.testing.assert_close(supernet(batch, path), network(batch), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", SPACES)
def test_inherited_names_and_shapes_are_those_of_the_single_network(name: str) -> None:
    space, rng = SPACES[name], np.random.default_rng(1)
    supernet = make(space)
    for architecture in [sample(space, rng) for _ in range(10)]:
        with torch.device("meta"):
            own = build_network(architecture, **SIZES).state_dict()
        found = supernet.inherited_state(architecture)
        assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in own.items()}
        for name, tensor in found.items():
            held = supernet.network.state_dict()[name]
            assert torch.equal(tensor, middle(held, tensor.shape))
            assert tensor.untyped_storage().data_ptr() == held.untyped_storage().data_ptr()


PRESETS = {
    "small": MobileSpace.small(input_size=8, n_stages=2, max_depth=2),
    "fbnet": MobileSpace.fbnet(),
    "mobilenet_v3": MobileSpace.mobilenet_v3(),
    "efficientnet": MobileSpace.efficientnet(),
    "efficientnet scaled": MobileSpace.efficientnet(scaling=True),
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_hold_every_weight(name: str) -> None:
    space, rng = PRESETS[name], np.random.default_rng(2)
    with torch.device("meta"):
        supernet = build_supernet(space, **SIZES)
    architectures = [sample(space, rng) for _ in range(3)]
    if not name.startswith(("small", "efficientnet scaled")):
        architectures.append(space.reference())
    for architecture in architectures:
        with torch.device("meta"):
            own = build_network(architecture, **SIZES).state_dict()
        found = supernet.inherited_state(architecture)
        assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in own.items()}


def test_the_largest_weights_are_all_used() -> None:
    """Nothing is held that no architecture takes: the sizes are maxima, not bounds."""
    space = MobileSpace(
        [MobileStage(depths=(1, 2), widths=(8, 12), expansions=(1, 2), se_ratios=(0, 0.5))],
        stem_widths=(4, 8),
        head_widths=(5, 9),
    )
    supernet = make(space)
    largest = {"stem_width": 8, "stage_1_depth": 2, "stage_1_width": 12, "head_width": 9}
    for block in (1, 2):
        largest |= {f"stage_1_block_{block}_kernel": 5, f"stage_1_block_{block}_expansion": 2}
        largest |= {f"stage_1_block_{block}_se": 0.5}
    found = supernet.inherited_state(space.complete(largest))
    held = supernet.network.state_dict()
    assert {n: t.shape for n, t in held.items()} == {n: t.shape for n, t in found.items()}


def test_gradients_flow_into_the_shared_weights() -> None:
    supernet, rng = make(EVERYTHING), np.random.default_rng(3)
    for architecture in [sample(EVERYTHING, rng) for _ in range(10)]:
        supernet.zero_grad()
        network, batch = single(supernet, architecture), images()
        supernet(batch, supernet.path(architecture)).square().sum().backward()
        network(batch).square().sum().backward()
        own = dict(network.named_parameters())
        for name, held in supernet.network.named_parameters():
            if name not in own:
                assert held.grad is None, name
                continue
            assert held.grad is not None, name
            assert own[name].grad is not None, name
            part = middle(held.grad, own[name].shape)
            torch.testing.assert_close(part, own[name].grad, atol=1e-6, rtol=1e-6)
            outside = held.grad.abs().sum() - part.abs().sum()
            assert float(outside) == pytest.approx(0, abs=1e-9), name


def test_inactive_gates_are_ignored() -> None:
    supernet, rng, batch = make(EVERYTHING).eval(), np.random.default_rng(4), images()
    found = []
    for architecture in [sample(EVERYTHING, rng) for _ in range(10)]:
        path = supernet.path(architecture)
        every = {name: Gate((0,)) for name in supernet.choices} | path
        found.append(len(every) - len(path))
        assert torch.equal(supernet(batch, every), supernet(batch, path))
    assert max(found) > 4


def test_gates_that_take_one_choice_refuse_several() -> None:
    supernet = make(EVERYTHING)
    single_ones = {n for n in supernet.choices if n not in supernet.mixable}
    assert single_ones == {
        *("style", "resolution", "width_coefficient", "depth_coefficient", "stem_stride"),
        *("stage_1_stride", "stage_2_stride"),
    }
    path = supernet.path(sample(EVERYTHING, np.random.default_rng(0)))
    for name in sorted(single_ones):
        with pytest.raises(ValueError, match=f"`{name}` to have one active choice but got 2"):
            supernet(images(), {**path, name: Gate((0, 1))})
    with pytest.raises(ValueError, match=r"`stage_1_depth` to have an active choice but got"):
        supernet(images(), {**path, "stage_1_depth": Gate(())})


def test_other_members_are_refused() -> None:
    space = SPACES["frozen"]
    supernet = make(space)
    with pytest.raises(ValueError, match="style"):
        supernet.path(
            Architecture("mobile", {**sample(space, np.random.default_rng(0)), "style": "fbnet"})
        )


def test_dropout_is_that_of_the_single_network() -> None:
    arguments = {**SIZES, "dropout": 0.5}
    supernet = make(EVERYTHING, dropout=0.5)
    architecture, batch = sample(EVERYTHING, np.random.default_rng(7)), images()
    network = build_network(architecture, **arguments).double()
    inherit_weights(network, supernet, architecture)
    logits: list[Tensor] = []
    for run in (network, lambda x: supernet(x, supernet.path(architecture))):
        torch.manual_seed(3)
        logits.append(run(batch))
    torch.testing.assert_close(*logits, atol=1e-6, rtol=0)
    second = supernet(batch, supernet.path(architecture))
    assert (second - logits[1]).abs().max() > 1e-3


def test_a_saved_supernet_is_the_same(tmp_path: Path) -> None:
    supernet = make(EVERYTHING, affine=False).float()
    save_supernet(supernet, tmp_path / "supernet.pt")
    loaded = load_supernet(tmp_path / "supernet.pt", EVERYTHING)
    held = loaded.state_dict()
    assert all(torch.equal(held[name], t) for name, t in supernet.state_dict().items())


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
    handles = [
        network.classifier.register_forward_pre_hook(lambda m, args: (args[0] * scales["all"],))
    ]
    for name, block in network.blocks.named_children():
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
LAYERS = f"blocks.{BLOCK}.layers."
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
    return network.classifier(network.head(x))


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
    h = nets[0].blocks[0].layers.expand(nets[0].stem(batch))
    depthwise = [net.blocks[0].layers.depthwise for net in nets]
    z = depthwise[0].activation(depthwise[0].norm(combine([d.conv(h) for d in depthwise])))
    layers = nets[0].blocks[0].layers
    expected = finish(nets[0], layers.project(layers.se(z)))
    torch.testing.assert_close(mix(supernet, f"{BLOCK}_kernel", batch), expected)


@pytest.mark.parametrize("style_ratio", [0, 0.5])
def test_expansions_are_mixed_behind_the_depthwise_convolution(style_ratio: float) -> None:
    supernet, batch = make(ONE).eval(), images()
    name, start = f"{BLOCK}_expansion", ONE.complete({**START, f"{BLOCK}_se": style_ratio})
    nets = networks(supernet, name, start)
    hidden = []
    for net in nets:
        layers = net.blocks[0].layers
        x = net.stem(batch)
        hidden.append(layers.depthwise(layers.expand(x) if hasattr(layers, "expand") else x))
    assert [h.shape[1] for h in hidden] == [8, 24, 16]
    widest = nets[1].blocks[0].layers  # Of expansion 2.3.
    z = combine(hidden)
    z = widest.se(z) if style_ratio else z
    expected = finish(nets[1], widest.project(z))
    torch.testing.assert_close(mix(supernet, name, batch, start), expected)


def test_squeeze_excitations_are_mixed() -> None:
    supernet, batch = make(ONE).eval(), images()
    nets = networks(supernet, f"{BLOCK}_se")
    layers = nets[0].blocks[0].layers
    z = layers.depthwise(layers.expand(nets[0].stem(batch)))
    parts = [getattr(net.blocks[0].layers, "se", nn.Identity())(z) for net in nets]
    expected = finish(nets[0], layers.project(combine(parts)))
    torch.testing.assert_close(mix(supernet, f"{BLOCK}_se", batch), expected)


def test_activations_are_mixed() -> None:
    supernet, batch = make(ONE).eval(), images()
    net = single(supernet, START)
    functions = [nn.ReLU(), nn.Hardswish(), nn.SiLU(), nn.ReLU6()]
    layers = net.blocks[0].layers
    h = layers.expand.norm(layers.expand.conv(net.stem(batch)))
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
    assert [net.blocks[0].residual for net in nets] == [residual, False]
    expected = finish(nets[1], combine([net.blocks(net.stem(batch)) for net in nets]))
    torch.testing.assert_close(mix(supernet, "stage_1_width", batch, start), expected)


def test_depths_are_mixed() -> None:
    supernet, batch = make(ONE).eval(), images()
    nets = networks(supernet, "stage_1_depth")
    expected = finish(nets[0], combine([net.blocks(net.stem(batch)) for net in nets]))
    torch.testing.assert_close(mix(supernet, "stage_1_depth", batch), expected)


def test_depths_are_mixed_where_blocks_are_repeated() -> None:
    space = EVERYTHING.freeze({"depth_coefficient": 1.6})
    supernet, batch = make(space).eval(), images()
    start = sample(space, np.random.default_rng(6))
    nets = [
        single(supernet, space.complete({**start, "stage_2_depth": depth})) for depth in (1, 2, 3)
    ]
    maps = [net.blocks(net.stem(net.resize(batch))) for net in nets]
    assert [len(net.blocks) for net in nets] == sorted({len(net.blocks) for net in nets})
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
    maps = [net.blocks(net.stem(batch)) for net in nets]
    expected = finish(nets[0], 0.3 * maps[0] + 0.7 * maps[1])
    torch.testing.assert_close(supernet(batch, gates), expected)


def test_widths_of_the_stem_are_mixed() -> None:
    supernet, batch = make(ONE).eval(), images()
    nets = networks(supernet, "stem_width")
    expected = finish(nets[1], nets[1].blocks(combine([net.stem(batch) for net in nets])))
    torch.testing.assert_close(mix(supernet, "stem_width", batch), expected)


def test_widths_of_the_head_are_mixed() -> None:
    for style in ("mobilenet_v3", "fbnet"):
        space = MobileSpace(ONE.stages, styles=(style,), head_widths=(10, 20))
        supernet, batch = make(space).eval(), images()
        start = space.complete({"stage_1_depth": 1})
        nets = [single(supernet, space.complete({**start, "head_width": w})) for w in (10, 20)]
        features = [net.head(net.blocks(net.stem(batch))) for net in nets]
        expected = nets[1].classifier(combine(features))
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
