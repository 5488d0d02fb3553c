"""From decisions to the sizes of layers."""

from __future__ import annotations

import pytest

from optuna_nas import Architecture
from optuna_nas import MobileSpace
from optuna_nas.spaces import mobile_plan
from optuna_nas.spaces import MobileStage


SKIPPING = MobileSpace([MobileStage(depths=(1, 4), widths=(16,), skip=True)])
SCALED = MobileSpace(
    [MobileStage(depths=(1, 3), widths=(16, 24), skip=True)],
    width_coefficients=(1.0, 1.5),
    depth_coefficients=(0.5, 1.0, 1.5),
    resolutions=(16, 32),
)


def sizes(space: MobileSpace, text: str) -> list[tuple[int, int, int, int, int]]:
    """Return (input, hidden, output, kernel, stride) of each block."""
    return [
        (b.channels_in, b.hidden, b.channels_out, b.kernel, b.stride)
        for b in mobile_plan(space.from_string(text)).blocks
    ]


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


def test_a_plan_needs_all_decisions() -> None:
    with pytest.raises(KeyError):
        mobile_plan(Architecture("mobile", {"style": "fbnet"}))
