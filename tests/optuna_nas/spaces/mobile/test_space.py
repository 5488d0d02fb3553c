"""The staged space of inverted bottlenecks: presets, text, sizes of layers, and equal networks."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest

from optuna_nas import Architecture
from optuna_nas import MobileSpace
from optuna_nas.spaces import EFFICIENTNET_B0
from optuna_nas.spaces import FBNET_C
from optuna_nas.spaces import mobile_plan
from optuna_nas.spaces import MOBILENET_V3_LARGE
from optuna_nas.spaces import MobileStage


SPACE = MobileSpace()
SKIPPING = MobileSpace([MobileStage(depths=(1, 4), widths=(16,), skip=True)])
SCALED = MobileSpace(
    [MobileStage(depths=(1, 3), widths=(16, 24), skip=True)],
    width_coefficients=(1.0, 1.5),
    depth_coefficients=(0.5, 1.0, 1.5),
    resolutions=(16, 32),
)
PRESETS = {
    FBNET_C: MobileSpace.fbnet(),
    MOBILENET_V3_LARGE: MobileSpace.mobilenet_v3(),
    EFFICIENTNET_B0: MobileSpace.efficientnet(),
}


def sizes(space: MobileSpace, text: str) -> list[tuple[int, int, int, int, int]]:
    """Return (input, hidden, output, kernel, stride) of each block."""
    return [
        (b.channels_in, b.hidden, b.channels_out, b.kernel, b.stride)
        for b in mobile_plan(space.from_string(text)).blocks
    ]


# Published tables.


def test_mobilenet_v3_large_line_by_line() -> None:
    """Howard et al., ICCV 2019, table 1: operator, expansion size, output, SE, NL, stride."""
    table = """
        3 16 16 - RE 1
        3 64 24 - RE 2
        3 72 24 - RE 1
        5 72 40 SE RE 2
        5 120 40 SE RE 1
        5 120 40 SE RE 1
        3 240 80 - HS 2
        3 200 80 - HS 1
        3 184 80 - HS 1
        3 184 80 - HS 1
        3 480 112 SE HS 1
        3 672 112 SE HS 1
        5 672 160 SE HS 2
        5 960 160 SE HS 1
        5 960 160 SE HS 1
    """
    plan = mobile_plan(MobileSpace.mobilenet_v3().reference())
    names = {"relu": "RE", "hswish": "HS"}
    assert [
        f"{b.kernel} {b.hidden} {b.channels_out} {'SE' if b.squeeze else '-'} "
        f"{names[b.activation]} {b.stride}"
        for b in plan.blocks
    ] == [line.strip() for line in table.strip().splitlines()]
    assert (plan.stem_width, plan.stem_stride, plan.activation) == (16, 2, "hswish")
    assert (plan.head_conv, plan.head_linear) == (960, 1280)
    # A quarter of the expansion, as a multiple of 8 that is not below nine tenths of it.
    assert [b.squeeze for b in plan.blocks if b.squeeze] == [24, 32, 32, 120, 168, 168, 240, 240]


def test_efficientnet_b0_stage_by_stage() -> None:
    """Tan & Le, ICML 2019, table 1."""
    plan = mobile_plan(MobileSpace.efficientnet().reference())
    last = {b.name.partition("_block_")[0]: b for b in plan.blocks}
    assert [(b.kernel, b.channels_out) for b in last.values()] == [
        (3, 16),
        (3, 24),
        (5, 40),
        (3, 80),
        (5, 112),
        (5, 192),
        (3, 320),
    ]
    depths = [sum(b.name.startswith(f"{stage}_") for b in plan.blocks) for stage in last]
    assert depths == [1, 2, 2, 3, 3, 4, 1]
    assert [b.stride for b in plan.blocks if b.stride > 1] == [2, 2, 2, 2]
    assert all(b.squeeze == b.channels_in // 4 for b in plan.blocks)
    assert (plan.stem_width, plan.head_conv, plan.head_linear) == (32, 1280, 0)


def test_fbnet_c_by_hand() -> None:
    """Wu et al., CVPR 2019, figure 4."""
    plan = mobile_plan(MobileSpace.fbnet().reference())
    assert len(plan.blocks) == 21  # One of the 22 is skipped.
    assert "stage_2_block_2" not in [b.name for b in plan.blocks]
    assert all(b.expands and not b.squeeze for b in plan.blocks)
    assert sum(b.kernel == 5 for b in plan.blocks) == 15
    assert prod(b.stride for b in plan.blocks) * plan.stem_stride == 32


@pytest.mark.parametrize(("text", "space"), PRESETS.items(), ids=["fbnet", "v3", "b0"])
def test_published_strings_are_members(text: str, space: MobileSpace) -> None:
    architecture = space.reference()
    assert space.to_string(architecture) == text
    assert space.from_graph(space.to_graph(architecture)) == architecture
    assert space.from_vector(space.to_vector(architecture)) == architecture
    assert space.from_json(architecture.to_json()) == architecture
    assert len(space.neighbors(architecture)) > 50
    assert space.contains(space.sample(np.random.default_rng(0)))


def test_sizes_in_closed_form() -> None:
    # FBNet: 22 layers of two kernels and three expansions, of which 15 may be skipped.
    assert MobileSpace.fbnet().size == 6**7 * 7**15
    block = 2 * 2 * 2 * 2  # Kernels, expansions, ratios, activations.
    stage = block + block**2 + block**3
    assert SPACE.size == (2 * 2 * stage) * (2 * stage) ** 2
    assert SKIPPING.size == 4 * (1 + 5 + 5**2 + 5**3)
    assert MobileSpace.efficientnet(scaling=True).size == (
        MobileSpace.efficientnet().size * 8 * 7 * 8
    )


def test_a_space_of_your_own_has_no_reference() -> None:
    with pytest.raises(ValueError, match="a preset with a published architecture"):
        SPACE.reference()


@pytest.mark.parametrize(("input_size", "stride"), [(28, 1), (32, 1), (48, 2), (64, 2)])
def test_small_spaces(input_size: int, stride: int) -> None:
    space = MobileSpace.small(input_size=input_size, n_stages=2, max_depth=2)
    architecture = space.complete({})
    assert architecture["stem_stride"] == stride
    assert "stage_3_depth" not in architecture
    assert space.size == (2 * 2 * (16 + 16**2)) * (2 * (16 + 16**2))


# Sizes of layers.


def test_skipped_blocks_drop_out() -> None:
    blocks = sizes(SKIPPING, "mobilenet_v3|stem16s1|16s1(k3e3_relu,skip,k5e6_relu)|head128")
    assert blocks == [(16, 48, 16, 3, 1), (16, 96, 16, 5, 1)]


def test_compound_scaling_by_hand() -> None:
    text = "mobilenet_v3@32*w1.5*d1.5|stem16s1|24s1(k3e3_relu,k5e6_relu,skip)|head128"
    plan = mobile_plan(SCALED.from_string(text))
    # ceil(1.5 * 3) = 5 blocks, of which the last three repeat the last one, a skip.
    assert [b.kernel for b in plan.blocks] == [3, 5]
    assert plan.stem_width == 24
    assert plan.blocks[0].channels_out == 40  # 36 is as near to 40 as to 32, and rounded up.
    assert plan.head_linear == 192
    assert plan.resolution == 32
    text = text.replace("d1.5", "d0.5").replace("w1.5", "w1.0")
    plan = mobile_plan(SCALED.from_string(text))
    assert [b.kernel for b in plan.blocks] == [3, 5]
    text = text.replace(",k5e6_relu,skip", ",k5e6_relu,k3e6_relu").replace("d0.5", "d1.5")
    plan = mobile_plan(SCALED.from_string(text))
    assert [b.kernel for b in plan.blocks] == [3, 5, 3, 3, 3]
    assert [b.name[-1] for b in plan.blocks] == list("12345")


def test_styles_squeeze_and_expand_differently() -> None:
    stage = MobileStage(depths=(1, 1), widths=(16,), expansions=(1, 6), se_ratios=(0, 0.25))
    space = MobileSpace([stage], styles=("fbnet", "mobilenet_v3", "efficientnet"))
    found = {}
    for style in ("fbnet", "mobilenet_v3", "efficientnet"):
        for expansion in (1, 6):
            text = f"{style}|stem16s1|16s1(k3e{expansion}se0.25_relu)|head128"
            [block] = mobile_plan(space.from_string(text)).blocks
            found[style, expansion] = (block.expands, block.squeeze)
    assert found == {
        ("fbnet", 1): (True, 8),
        ("fbnet", 6): (True, 24),
        ("mobilenet_v3", 1): (False, 8),
        ("mobilenet_v3", 6): (True, 24),
        ("efficientnet", 1): (False, 4),
        ("efficientnet", 6): (True, 4),
    }


# Canonical keys.


@pytest.mark.parametrize(
    ("space", "one", "other"),
    [
        (SKIPPING, "16s1(k3e3_relu,skip,k5e6_relu)", "16s1(k3e3_relu,k5e6_relu,skip)"),
        (SKIPPING, "16s1(k3e3_relu,skip,skip,skip)", "16s1(k3e3_relu)"),
    ],
)
def test_equal_keys(space: MobileSpace, one: str, other: str) -> None:
    architectures = [
        space.from_string(f"mobilenet_v3|stem16s1|{text}|head128") for text in (one, other)
    ]
    assert architectures[0] != architectures[1]
    assert len({space.canonical_key(a) for a in architectures}) == 1


def test_depth_coefficients_that_round_alike_are_equal() -> None:
    # Half of one block and half of two blocks are one block.
    texts = [
        f"mobilenet_v3@16*w1.0*d{d}|stem16s1|24s1({blocks})|head128"
        for d, blocks in [
            ("0.5", "k3e3_relu"),
            ("1.0", "k3e3_relu"),
            ("0.5", "k3e3_relu,k5e6_relu"),
        ]
    ]
    assert len({SCALED.canonical_key(SCALED.from_string(text)) for text in texts}) == 1


def test_every_choice_that_changes_a_size_changes_the_key() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        architecture = SPACE.sample(rng)
        keys = {SPACE.canonical_key(other) for other in SPACE.neighbors(architecture)}
        assert len(keys) == len(SPACE.neighbors(architecture))
        assert SPACE.canonical_key(architecture) not in keys


# What is refused.


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("|head128", "", "to have parts as in .* but got '64s2"),
        ("mobilenet_v3|", "", "to have parts as in .* but got '16s1"),
        ("mobilenet_v3", "mobilenet_v4", "`style` .* but got 'mobilenet_v4'"),
        ("mobilenet_v3", "mobilenet_v3@32", "no resolution or coefficient .* but got"),
        ("k3e2_relu", "k3e2", "parts as in .* but got 'k3e2'"),
        ("k3e2_relu", "k7e2_relu", "`stage_1_block_1_kernel` .* but got 7"),
        ("k3e2_relu", "k3e2se0.5_relu", "`stage_1_block_1_se` .* but got 0.5"),
        ("k3e2_relu", "skip", "no skipped block `stage_1_block_1` in argument `text`"),
        ("(k3e2_relu)", "()", "parts as in .* but got ''"),
        ("|64s2(k5e4_hswish)", "", "Expected 3 stages in argument `text` .* but got 2"),
        ("32s2", "32s1", "`stage_2_stride` .* but got 1"),
        ("k5e4_hswish)", "k5e4_hswish" + ",k5e4_hswish" * 3 + ")", "`stage_3_depth` .* but got 4"),
    ],
)
def test_texts_that_are_no_architecture(old: str, new: str, sentence: str) -> None:
    text = "mobilenet_v3|stem16s1|16s1(k3e2_relu)|32s2(k3e4se0.25_relu)|64s2(k5e4_hswish)|head128"
    assert SPACE.to_string(SPACE.from_string(text)) == text
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_string(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("node", "changes", "sentence"),
    [
        (1, {"stage": 2}, "argument `graph`"),
        (2, {"width": 24}, "nodes of a stem, blocks by stage and a head"),
        (1, {"kernel": None}, "`stage_1_block_1_kernel` .* but got None"),
        (1, {"type": "skip"}, "no skipped block"),
        (0, {"style": ["fbnet"]}, "`style` .* but got"),
        (3, {"stage": 0}, "argument `graph`|nodes of a stem"),
    ],
)
def test_graphs_that_are_no_architecture(
    node: int, changes: dict[str, Any], sentence: str
) -> None:
    text = (
        "mobilenet_v3|stem16s1|16s1(k3e2_relu,k3e4_relu)|32s2(k3e4_relu)|64s2(k5e4_relu)|head128"
    )
    graph = SPACE.to_graph(SPACE.from_string(text))
    graph.nodes[node + 1].update(changes)
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_graph(graph)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"depths": (0, 2)}, r"`depths` to be the smallest .* but got \(0, 2\)"),
        ({"depths": (3, 2)}, "`depths` to be the smallest"),
        ({"widths": ()}, r"`widths` to be different positive integers but got \(\)"),
        ({"widths": (8, 8)}, "`widths` to be different positive integers"),
        ({"widths": (8.5,)}, "`widths` to be different positive integers"),
        ({"kernels": (4,)}, r"`kernels` to be odd but got \(4,\)"),
        ({"expansions": (0,)}, "`expansions` to be different positive numbers"),
        ({"expansions": (0.1 + 0.2,)}, "`expansions` to be different positive numbers"),
        ({"se_ratios": (2,)}, r"`se_ratios` to be in \[0, 1\] but got \(2,\)"),
        ({"se_ratios": (0, 0)}, "`se_ratios` to be different"),
        ({"se_ratios": ()}, "`se_ratios` to be different"),
        ({"strides": (3,)}, r"`strides` to be 1 or 2 or both but got \(3,\)"),
        ({"activations": ("gelu",)}, r"`activations` to be different names of .* \('gelu',\)"),
        ({"activations": "relu"}, "`activations` to be different names of"),
    ],
)
def test_stages_out_of_range(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        MobileStage(**({"depths": (1, 2), "widths": (8,)} | arguments))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"stages": []}, r"`stages` to be stages but got \[\]"),
        ({"styles": ("resnet",)}, "`styles` to be different names of"),
        ({"stem_widths": (0,)}, "`stem_widths` to be different positive integers"),
        ({"stem_strides": (4,)}, "`stem_strides` to be 1 or 2 or both but got"),
        ({"head_widths": (True,)}, "`head_widths` to be different positive integers"),
        ({"resolutions": (32.5,)}, "`resolutions` to be different positive integers"),
        ({"width_coefficients": (-1.0,)}, "`width_coefficients` to be different positive numbers"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        MobileSpace(**arguments)


def test_a_plan_needs_all_decisions() -> None:
    with pytest.raises(KeyError):
        mobile_plan(Architecture("mobile", {"style": "fbnet"}))
