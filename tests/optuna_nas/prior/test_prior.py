"""Probabilities of the choices: what they are, how they are drawn, and their JSON form."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import CellSpace
from optuna_nas import CustomSpace
from optuna_nas.prior import Prior


CELL = CellSpace()
# The kernel of the second layer matters where there is one.
SPACE = CustomSpace(
    {"depth": IntDistribution(1, 2), "kernel": CategoricalDistribution([3, 5, 7])},
    active_if={"kernel": lambda params: params["depth"] == 2},
)


def test_it_says_what_it_likes() -> None:
    prior = Prior(CellSpace(n_nodes=2), {"edge_0_1": [0, 0, 1, 0, 0]})
    assert repr(prior) == "<Prior of 'cell', most likely |nor_conv_1x1~0|>"


def test_numbers_are_scaled_to_sum_to_one() -> None:
    prior = Prior(SPACE, {"kernel": [1, 0, 3]})
    assert "kernel" in prior
    assert "depth" not in prior
    np.testing.assert_allclose(prior["kernel"], [0.25, 0, 0.75])
    np.testing.assert_allclose(prior["depth"], [0.5, 0.5])  # No entry: uniform.


@pytest.mark.parametrize(
    ("floor", "expected"), [(0.0, [0.25, 0, 0.75]), (0.3, [0.275, 0.1, 0.625]), (1.0, [1 / 3] * 3)]
)
def test_draws_have_the_floor(floor: float, expected: list[float]) -> None:
    prior, rng = Prior(SPACE, {"kernel": [1, 0, 3]}, floor=floor), np.random.default_rng(0)
    drawn = [prior.draw("kernel", rng) for _ in range(8000)]
    shares = [drawn.count(kernel) / 8000 for kernel in (3, 5, 7)]
    np.testing.assert_allclose(shares, expected, atol=0.02)


def test_samples_are_members_decision_by_decision() -> None:
    prior = Prior(SPACE, {"depth": [1, 3], "kernel": [0, 1, 0]}, floor=0)
    rng = np.random.default_rng(0)
    samples = [prior.sample(rng) for _ in range(2000)]
    assert {SPACE.to_string(sample) for sample in samples} == {"depth=1", "depth=2,kernel=5"}
    assert sum(sample["depth"] == 1 for sample in samples) / 2000 == pytest.approx(0.25, abs=0.03)
    assert all(map(SPACE.contains, samples))


def test_most_likely_is_decided_in_order() -> None:
    kernel = {"kernel": [0.1, 0.2, 0.7]}
    deep = Prior(SPACE, {"depth": [0.4, 0.6], **kernel}).most_likely()
    assert dict(deep) == {"depth": 2, "kernel": 7}
    assert dict(Prior(SPACE, {"depth": [0.6, 0.4], **kernel}).most_likely()) == {"depth": 1}


@pytest.mark.parametrize(
    ("probabilities", "floor", "sentence"),
    [
        ({}, -0.1, r"`floor` to be in \[0, 1\] but got -0.1"),
        ({}, 1.1, r"`floor` to be in \[0, 1\] but got 1.1"),
        ({"width": [1]}, 0, "`probabilities` to name decisions of search space .* got 'width'"),
        ({"kernel": [1, 1]}, 0, r"`kernel` to be 3 non-negative numbers but got \[1.0, 1.0\]"),
        ({"kernel": [1, -1, 1]}, 0, "`kernel` to be 3 non-negative numbers but got"),
        ({"kernel": [1, math.nan, 1]}, 0, "`kernel` to be 3 non-negative numbers but got"),
        ({"kernel": [1, math.inf, 1]}, 0, "`kernel` to be 3 non-negative numbers but got"),
        ({"kernel": [0, 0, 0]}, 0, r"`kernel` to have a positive sum but got \[0.0, 0.0, 0.0\]"),
    ],
)
def test_wrong_arguments(probabilities: Any, floor: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Prior(SPACE, probabilities, floor=floor)


def test_it_fits_spaces_that_have_its_choices() -> None:
    prior = Prior(CELL, {"edge_0_1": [1, 0, 0, 0, 1]})
    prior.require_fit(CellSpace())
    prior.require_fit(CELL.freeze({"edge_0_3": "none"}))
    with pytest.raises(ValueError, match="choices of decision `edge_0_1` of the search space"):
        prior.require_fit(CELL.freeze({"edge_0_1": "none"}))
    with pytest.raises(ValueError, match="to be of search space `custom` but got one of `cell`"):
        prior.require_fit(SPACE)


def test_it_survives_json() -> None:
    prior = Prior(SPACE, {"kernel": [1, 0, 3]}, floor=0.2)
    read = Prior.from_json(SPACE, prior.to_json())
    assert read.floor == 0.2
    assert "depth" not in read
    np.testing.assert_array_equal(read["kernel"], prior["kernel"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("no JSON", "`text` to be a JSON object .* but got 'no JSON'"),
        ("[1]", "`text` to be a JSON object"),
        ("{}", "`text` to be a JSON object"),
        (json.dumps({"space": "custom", "floor": "x", "probabilities": {}}), "a JSON object"),
        (json.dumps({"space": "cell", "floor": 0, "probabilities": {}}), "but got one of `cell`"),
        (
            json.dumps({"space": "custom", "floor": 0, "probabilities": {"kernel": [1]}}),
            "`kernel` to be 3 non-negative numbers",
        ),
    ],
)
def test_texts_that_are_no_prior(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Prior.from_json(SPACE, text)
