"""The spaces that come with a name, and strings that are read in whichever of them can."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.spaces import DARTS_V2
from optuna_nas.spaces import EFFICIENTNET_B0
from optuna_nas.spaces import FBNET_C
from optuna_nas.spaces import MOBILENET_V3_LARGE
from optuna_nas.spaces import NAMED_SPACES
from optuna_nas.spaces import NASNET_A
from optuna_nas.spaces import read_named


@pytest.mark.parametrize("name", list(NAMED_SPACES))
def test_what_a_space_writes_is_read_again(name: str) -> None:
    space = NAMED_SPACES[name]()
    architecture = space.sample(np.random.default_rng(0))
    _, found, read = read_named(space.to_string(architecture))
    assert found.name == space.name
    assert read == architecture


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (DARTS_V2, "darts"),
        (NASNET_A, "nasnet"),
        (FBNET_C, "fbnet"),
        (MOBILENET_V3_LARGE, "mobilenet_v3"),
        (EFFICIENTNET_B0, "efficientnet"),
        ("C-S-O", "chain"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "cell"),
    ],
)
def test_published_strings_have_their_space(text: str, name: str) -> None:
    assert read_named(text)[0] == name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("C-X-O", "^As an architecture of the space chain: Expected"),
        ("|conv~0|", "^As an architecture of the space cell: Expected"),
        ("Genotype(normal=[])", "^As an architecture of the space darts: Expected"),
        ("x|stem16s1|head8", "^As an architecture of the space mobile: Expected"),
    ],
)
def test_the_sentence_is_about_the_likeliest_space(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_named(text)
