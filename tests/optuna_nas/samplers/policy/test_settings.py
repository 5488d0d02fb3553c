"""The settings that all controllers share."""

from __future__ import annotations

from typing import Any

import pytest

from optuna_nas.samplers.policy import ControllerSettings


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"block_size": 0}, "`block_size` to be at least 1 but got 0"),
        ({"patience": 0}, "`patience` to be at least 1 but got 0"),
        ({"n_candidates": 0}, "`n_candidates` to be at least 1 but got 0"),
        ({"policy_seed": -1}, "`policy_seed` to be at least 0 but got -1"),
    ],
)
def test_wrong_settings(kwargs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ControllerSettings(**kwargs)
