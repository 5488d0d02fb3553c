"""Optuna's own test cases for samplers, for each of ours."""

from collections.abc import Callable

from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase
from optuna.testing.pytest_samplers import MultiObjectiveSamplerTestCase
from optuna.testing.pytest_samplers import RelativeSamplerTestCase
import pytest

from optuna_nas.samplers import GeneticSampler


class TestSamplers(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """All of our samplers handle several objectives, so the single-only case does not apply."""

    @pytest.fixture(
        params=[
            pytest.param(lambda: GeneticSampler(), id="genetic"),
            pytest.param(
                lambda: GeneticSampler(
                    population_size=2, selection="roulette", crossover="one_point", seed=0
                ),
                id="genetic-roulette",
            ),
        ]
    )
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        factory: Callable[[], BaseSampler] = request.param
        return factory
