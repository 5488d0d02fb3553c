"""The published networks, against the tables of their papers."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from optuna_nas import MobileSpace
from optuna_nas.spaces import EFFICIENTNET_B0
from optuna_nas.spaces import FBNET_C
from optuna_nas.spaces import mobile_plan
from optuna_nas.spaces import MOBILENET_V3_LARGE


PRESETS = {
    FBNET_C: MobileSpace.fbnet(),
    MOBILENET_V3_LARGE: MobileSpace.mobilenet_v3(),
    EFFICIENTNET_B0: MobileSpace.efficientnet(),
}


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
