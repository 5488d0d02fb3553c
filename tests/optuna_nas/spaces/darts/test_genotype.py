"""The published form of a genotype, read and refused."""

from __future__ import annotations

import pytest

from optuna_nas import DartsSpace
from optuna_nas.spaces import DARTS_V2


SPACE = DartsSpace()


def test_a_listing_in_source_code_is_read() -> None:
    text = DARTS_V2.replace("range(2, 6)", "[2, 3, 4, 5]").replace("'", '"')
    text = (
        text.replace(", ", ",\n    ").replace("]", ",\n  ]").replace("Genotype(", "\n Genotype(")
    )
    assert SPACE.from_string(text) == SPACE.from_string(DARTS_V2)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("Genotype", "genotype", "to be a genotype like Genotype"),
        ("normal_concat", "concat", "to be a genotype like Genotype"),
        ("('sep_conv_3x3', 0), ", "__import__('os'), ", "to be a genotype like Genotype"),
        (
            "('sep_conv_3x3', 0), ",
            "",
            "`normal` .* 4 nodes of two edges each but got 7",
        ),
        ("range(2, 6)", "range(2, 5)", r"`normal_concat` .* \[2, 3, 4, 5\].* got \[2, 3, 4\]"),
        ("range(2, 6)", "[2, 3, 4, 5, 5]", r"but got \[2, 3, 4, 5, 5\]"),
        ("dil_conv_3x3", "conv_9x9", "`normal_5_op_2` .* but got 'conv_9x9'"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 7)", "`normal_5_inputs` .* but got '0-7'"),
    ],
)
def test_texts_that_are_no_genotype(old: str, new: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.from_string(DARTS_V2.replace(old, new, 1))
