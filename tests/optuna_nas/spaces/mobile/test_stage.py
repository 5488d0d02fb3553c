"""The choices of one stage."""

from __future__ import annotations

from typing import Any

import pytest

from optuna_nas.spaces import MobileStage


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
