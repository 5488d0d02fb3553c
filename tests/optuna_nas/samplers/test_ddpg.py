"""DDPG."""

from __future__ import annotations

from typing import Any

import pytest

from optuna_nas.samplers import DDPGSampler


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"tau": 0}, r"`tau` to be in \(0, 1\] but got 0"),
        ({"noise": 0}, "`noise` to be above 0 but got 0"),
        ({"noise_decay": 1.1}, r"`noise_decay` to be in \(0, 1\] but got 1.1"),
        ({"buffer_size": 0}, "`buffer_size` to be at least 1 but got 0"),
        ({"hidden_size": 0}, "`hidden_size` to be at least 1 but got 0"),
    ],
)
def test_wrong_arguments_of_ddpg(kwargs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DDPGSampler(**kwargs)
