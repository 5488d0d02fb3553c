"""Advantage actor-critic."""

from __future__ import annotations

from typing import Any

import pytest

from optuna_nas.samplers import ActorCriticSampler


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"lambda_": 2}, r"`lambda_` to be in \[0, 1\] but got 2"),
        ({"value_weight": -1}, "`value_weight` to be at least 0 but got -1"),
        ({"learning_rate": 0}, "`learning_rate` to be above 0 but got 0"),
        ({"hidden_size": 0}, "`hidden_size` to be at least 1 but got 0"),
    ],
)
def test_wrong_arguments_of_actor_critic(kwargs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ActorCriticSampler(**kwargs)
