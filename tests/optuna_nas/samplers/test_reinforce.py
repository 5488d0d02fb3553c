"""REINFORCE."""

from __future__ import annotations

from typing import Any

import pytest

from optuna_nas.samplers import ReinforceSampler


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"learning_rate": 0.0}, "`learning_rate` to be above 0 but got 0.0"),
        ({"entropy_weight": -1}, "`entropy_weight` to be at least 0 but got -1"),
        ({"baseline_decay": 1}, r"`baseline_decay` to be in \[0, 1\) but got 1"),
        ({"hidden_size": 0}, "`hidden_size` to be at least 1 but got 0"),
    ],
)
def test_wrong_arguments_of_reinforce(kwargs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ReinforceSampler(**kwargs)
