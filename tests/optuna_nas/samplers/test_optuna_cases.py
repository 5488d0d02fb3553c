"""Optuna's own test cases for samplers, for each of ours."""

from collections.abc import Callable

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.testing.pytest_samplers import BasicSamplerTestCase
from optuna.testing.pytest_samplers import MultiObjectiveSamplerTestCase
from optuna.testing.pytest_samplers import RelativeSamplerTestCase
import pytest

from optuna_nas.samplers import ActorCriticSampler
from optuna_nas.samplers import ControllerSettings
from optuna_nas.samplers import DDPGSampler
from optuna_nas.samplers import GeneticSampler
from optuna_nas.samplers import LocalSearchSampler
from optuna_nas.samplers import PPOSampler
from optuna_nas.samplers import RandomArchitectureSampler
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.samplers import ReinforceSampler
from optuna_nas.samplers import ScreeningSampler


BLOCKS_OF_2 = ControllerSettings(block_size=2)


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
            pytest.param(lambda: RegularizedEvolutionSampler(), id="regularized-evolution"),
            pytest.param(lambda: LocalSearchSampler(n_initial=2), id="local-search"),
            pytest.param(lambda: RandomArchitectureSampler(), id="random-architecture"),
            pytest.param(lambda: ScreeningSampler(GeneticSampler(), len, pool=2), id="screening"),
            pytest.param(
                lambda: ScreeningSampler(optuna.samplers.TPESampler(), len, pool=2),
                id="screening-tpe",
            ),
            pytest.param(lambda: ReinforceSampler(settings=BLOCKS_OF_2), id="reinforce"),
            pytest.param(lambda: PPOSampler(settings=BLOCKS_OF_2), id="ppo"),
            pytest.param(lambda: ActorCriticSampler(settings=BLOCKS_OF_2), id="actor-critic"),
            pytest.param(lambda: DDPGSampler(settings=BLOCKS_OF_2), id="ddpg"),
        ]
    )
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        factory: Callable[[], BaseSampler] = request.param
        return factory


class TestSamplersOnOtherStorages(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    """The same for studies that are not in memory, but for two cases of many that ask no study."""

    test_multi_objective_sample_independent = None  # type: ignore[assignment]
    test_sample_relative_numerical = None  # type: ignore[assignment]

    @pytest.fixture(params=["sqlite", "journal", "grpc"], autouse=True)
    def storage(
        self,
        request: pytest.FixtureRequest,
        storages: dict[str, BaseStorage],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Let every study that asks for none have this storage."""
        monkeypatch.setattr(
            optuna.storages, "get_storage", lambda given: given or storages[request.param]
        )

    @pytest.fixture(
        params=[
            pytest.param(lambda: GeneticSampler(population_size=2), id="genetic"),
            pytest.param(
                lambda: RegularizedEvolutionSampler(population_size=2, sample_size=1),
                id="regularized-evolution",
            ),
            pytest.param(lambda: LocalSearchSampler(n_initial=2), id="local-search"),
            pytest.param(lambda: RandomArchitectureSampler(), id="random-architecture"),
        ]
    )
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        factory: Callable[[], BaseSampler] = request.param
        return factory
