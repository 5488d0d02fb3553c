"""The module that is made of a string."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from lightning_modules import ArchitectureModule
from lightning_modules import Classification
from lightning_modules import count_params
from lightning_modules import Regression
from lightning_modules.tasks import task_to_dict
from optuna_nas.spaces import DARTS_V2


CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
TASK = task_to_dict(Classification(3))


@pytest.mark.parametrize(
    ("architecture", "sizes"),
    [
        ("C-C-S-O", None),
        (CELL, {"channels": 4, "cells_per_stage": 1}),
        (DARTS_V2, {"channels": 4, "cells": 3}),
    ],
)
def test_networks_of_strings(architecture: str, sizes: dict[str, int] | None) -> None:
    module = ArchitectureModule(architecture, [3, 16, 16], TASK, sizes).eval()
    assert module(torch.zeros(2, 3, 16, 16)).shape == (2, 3)
    assert module.task == Classification(3)


def test_sizes_are_those_of_the_backbone() -> None:
    small, large = (
        ArchitectureModule(CELL, (1, 8, 8), TASK, {"channels": channels}) for channels in (4, 8)
    )
    assert count_params(small) < count_params(large)


def test_the_hyperparameters_make_it_again() -> None:
    task = Regression(2, (1.0, 2.0), (3.0, 4.0))
    module = ArchitectureModule("C-S", (1, 8, 8), task_to_dict(task), learning_rate=0.3)
    plain: dict[str, Any] = json.loads(json.dumps(dict(module.hparams)))
    assert plain["architecture"] == "C-S"
    again = ArchitectureModule(**{k: v for k, v in plain.items() if k != "channels_last"})
    assert again.task == task
    assert again.learning_rate == 0.3
    again.load_state_dict(module.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "C-X"}, "to be the string of an architecture but got 'C-X'"),
        ({"sizes": {"channels": 3}}, "`sizes` to fit the networks of the space chain but got .*3"),
        ({"input_shape": (8, 8)}, r"`input_shape` to be \(channels, height, width\)"),
        ({"task": {"name": "sorting", "arguments": {}}}, "task sorting to be one of"),
        ({"optimizer": "adam"}, "`optimizer` to be one of .* but got 'adam'"),
    ],
)
def test_errors(changes: dict[str, Any], message: str) -> None:
    arguments = {"architecture": "C-S", "input_shape": (1, 8, 8), "task": TASK}
    with pytest.raises(ValueError, match=message):
        ArchitectureModule(**(arguments | changes))
