"""Texts that are no architecture."""

from __future__ import annotations

import pytest

from optuna_nas import MobileSpace


SPACE = MobileSpace()


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
