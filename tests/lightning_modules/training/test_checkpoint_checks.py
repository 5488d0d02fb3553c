"""What a checkpoint says of its network, checked before anything is computed."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules.training._checkpoint_checks import check_description
from lightning_modules.training._checkpoint_checks import check_weights
from lightning_modules.training._checkpoint_checks import PARTS


IMAGES = {"kind": "images", "input_shape": [1, 6, 6], "mean": [0.25], "std": [0.5]}
DESCRIPTION: dict[str, Any] = {
    "architecture": "{}",
    "network": {"space": "chain", "arguments": {}},
    "task": {"name": "regression", "arguments": {}},
    "module": None,
    "preprocessing": IMAGES,
    "test_metrics": {"test_loss": 1.5, "test_n": 3},
}


def test_descriptions() -> None:
    assert set(DESCRIPTION) == set(PARTS)
    check_description(DESCRIPTION)
    check_description(DESCRIPTION | {"format": 3, "task": None, "module": "m:M"})
    check_description(DESCRIPTION | {"preprocessing": None, "test_metrics": {}, "network": {}})
    # A network may measure so.
    check_description(DESCRIPTION | {"test_metrics": {"a": math.nan, "b": math.inf}})


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_missing(name: str) -> None:
    description = {key: value for key, value in DESCRIPTION.items() if key != name}
    with pytest.raises(ValueError, match=f"a description with .* but got no .'{name}'"):
        check_description(description)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": 3}, "`network` to be a dict but got 3"),
        ({"task": "regression"}, "`task` to have a name and arguments but got 'regression'"),
        ({"task": {"name": "regression"}}, "`task` to have a name and arguments but got {"),
        ({"preprocessing": "images"}, "`preprocessing` to be a dict but got 'images'"),
        ({"preprocessing": IMAGES | {"std": [0]}}, r"`std` to be a finite number above 0 .*\[0\]"),
        ({"test_metrics": None}, "`test_metrics` to be numbers by name but got None"),
        ({"test_metrics": {"a": "1"}}, "`test_metrics` to be numbers by name but got .*'1'"),
        ({"test_metrics": {"a": True}}, "`test_metrics` to be numbers by name but got .*True"),
    ],
)
def test_parts_of_another_form(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_description(DESCRIPTION | changes)


def make() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


def test_weights_that_fit() -> None:
    weights = make().state_dict()
    check_weights(make, weights, input_shape=(3, 4), output_shape=(3,))
    check_weights(make, weights, input_shape=None, output_shape=(5,))
    check_weights(make, weights, input_shape=(7,), output_shape=None)  # It is not run.


def test_nothing_is_allocated() -> None:
    def large() -> nn.Module:
        return nn.Linear(2**20, 2**20)

    with pytest.raises(ValueError, match=r"`weight` to have the shape \(1048576, 1048576\) but"):
        check_weights(large, {"weight": torch.zeros(1)}, input_shape=None, output_shape=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"1.bias": torch.zeros(4)}, r"`1.bias` to have the shape \(3,\) but got \(4,\)"),
        ({"2.bias": torch.zeros(4)}, r"`2.bias` to have the shape None but got \(4,\)"),
        ({"1.bias": None}, r"`1.bias` to have the shape \(3,\) but got None"),
    ],
)
def test_other_weights(changes: dict[str, Any], message: str) -> None:
    weights = {k: v for k, v in (make().state_dict() | changes).items() if v is not None}
    with pytest.raises(ValueError, match=message):
        check_weights(make, weights, input_shape=None, output_shape=None)


def test_another_input_or_output() -> None:
    weights = make().state_dict()
    with pytest.raises(ValueError, match=r"output of shape \(1, 2\) .* but got \(1, 3\)"):
        check_weights(make, weights, input_shape=(3, 4), output_shape=(2,))
    with pytest.raises(RuntimeError):
        check_weights(make, weights, input_shape=(3, 5), output_shape=(3,))
