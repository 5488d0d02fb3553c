"""The genetic algorithm: its arguments, and choices of every type."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
import pytest

from optuna_nas.samplers import GeneticSampler


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"population_size": 1}, "`population_size` to be at least 2 but got 1"),
        ({"crossover_prob": 1.5}, r"`crossover_prob` to be in \[0, 1\] but got 1.5"),
        ({"mutation_prob": -0.1}, r"`mutation_prob` to be in \[0, 1\] but got -0.1"),
        ({"mutation_prob": "high"}, r"`mutation_prob` to be in \[0, 1\] or \"adaptive\" but"),
        ({"mutation": "jump"}, "`mutation` to be .* but got 'jump'"),
        ({"elite_size": 21}, r"`elite_size` to be in \[0, 10\] but got 21"),
        ({"selection": "best"}, "`selection` to be .* but got 'best'"),
        ({"crossover": "three"}, "`crossover` to be .* but got 'three'"),
        ({"tournament_size": 0}, "`size` to be at least 1 but got 0"),
    ],
)
def test_wrong_arguments_of_genetic(kwargs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        GeneticSampler(**kwargs)


def test_categorical_values_stay_what_they_are() -> None:
    distributions = {"c": CategoricalDistribution((None, True, 1.5, "a"))}
    study = optuna.create_study(sampler=GeneticSampler(seed=0, population_size=2))
    for _ in range(12):
        trial = study.ask(distributions)
        study.tell(trial, 0.0)
    assert {type(t.params["c"]) for t in study.trials} == {type(None), bool, float, str}
