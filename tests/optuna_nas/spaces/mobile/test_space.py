"""The staged space of inverted bottlenecks: sizes, equal networks, and arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optuna_nas import MobileSpace
from optuna_nas.spaces import MobileStage


SPACE = MobileSpace()
SKIPPING = MobileSpace([MobileStage(depths=(1, 4), widths=(16,), skip=True)])
SCALED = MobileSpace(
    [MobileStage(depths=(1, 3), widths=(16, 24), skip=True)],
    width_coefficients=(1.0, 1.5),
    depth_coefficients=(0.5, 1.0, 1.5),
    resolutions=(16, 32),
)


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
