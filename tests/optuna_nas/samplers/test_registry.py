"""Samplers by name: all of them are there, a foreign one needs one file, a wrong one is named."""

from __future__ import annotations

from collections.abc import Callable
import functools
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.samplers import CmaEsSampler
from optuna.samplers import NSGAIISampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler
import pytest

from optuna_nas import CellSpace
from optuna_nas import Constraint
from optuna_nas import samplers
from optuna_nas.prior import Prior
from optuna_nas.samplers import accepts
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers import GeneticSampler
from optuna_nas.samplers import make_sampler
from optuna_nas.samplers import SAMPLERS


OURS = {
    "actor-critic": "ActorCriticSampler",
    "ddpg": "DDPGSampler",
    "genetic": "GeneticSampler",
    "local-search": "LocalSearchSampler",
    "ppo": "PPOSampler",
    "random-architecture": "RandomArchitectureSampler",
    "regularized-evolution": "RegularizedEvolutionSampler",
    "reinforce": "ReinforceSampler",
}
OPTUNAS = {"nsgaii": NSGAIISampler, "random": RandomSampler, "tpe": TPESampler}
CELL = CellSpace()
COMMON: dict[str, Any] = {
    "space": CELL,
    "prior": Prior(CELL, {"edge_0_1": [0, 0, 0, 1, 0]}, floor=0),
    "constraints": [
        Constraint("dead", upper=5, function=lambda a: list(a.values()).count("none"))
    ],
}


def count(trial: optuna.Trial) -> float:
    return list(CELL.suggest(trial).values()).count("nor_conv_3x3")


def test_every_file_is_a_name() -> None:
    assert sorted(SAMPLERS) == sorted([*OURS, *OPTUNAS])


@pytest.mark.parametrize("name", list(OURS))
def test_ours_are_the_public_classes_and_take_everything(name: str) -> None:
    factory = SAMPLERS.get(name)
    assert factory is getattr(samplers, OURS[name])
    assert SAMPLERS.name_of(factory) == name
    assert all(accepts(factory, argument) for argument in ("seed", "space", "prior"))
    assert accepts(factory, "constraints")


@pytest.mark.parametrize("name", [*OURS, *OPTUNAS])
def test_every_name_makes_a_sampler_that_runs(name: str) -> None:
    sampler = make_sampler(name, seed=0, **COMMON)
    assert isinstance(sampler, OPTUNAS.get(name, ArchitectureSampler))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(count, n_trials=3)
    assert len(study.trials) == 3
    if name in OURS:  # It got the prior.
        first = [trial.params["edge_0_1"] for trial in study.trials]
        assert first.count("nor_conv_3x3") >= 2


def test_seeds_arrive() -> None:
    def values(name: str, seed: int) -> list[Any]:
        study = optuna.create_study(sampler=make_sampler(name, seed=seed, space=CELL))
        study.optimize(count, n_trials=3)
        return [trial.params for trial in study.trials]

    for name in ("random", "genetic"):
        assert values(name, 1) == values(name, 1) != values(name, 2)


def test_a_samplers_own_arguments() -> None:
    assert make_sampler("nsgaii", seed=0)._population_size == 20  # type: ignore[attr-defined]
    other = make_sampler("nsgaii", seed=0, population_size=7)
    assert other._population_size == 7  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="`population_size` to be at least 2 but got 1"):
        make_sampler("genetic", space=CELL, population_size=1)


# Samplers of others.


FOREIGN = """
from optuna.samplers import RandomSampler
from helper_of_a_tabu_sampler import TENURE

class TabuSampler(RandomSampler):
    def __init__(self, seed=None):
        super().__init__(seed)
        self.seed, self.tenure = seed, TENURE

number = 3
"""


def test_a_class_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "my_tabu_sampler.py").write_text(FOREIGN)
    (tmp_path / "helper_of_a_tabu_sampler.py").write_text("TENURE = 5")
    name = f"{tmp_path}/my_tabu_sampler.py:TabuSampler"
    sampler: Any = make_sampler(name, seed=3, **COMMON)
    assert (sampler.seed, sampler.tenure) == (3, 5)
    assert type(make_sampler(name)) is type(sampler)
    optuna.create_study(sampler=sampler).optimize(count, n_trials=2)
    with pytest.raises(ValueError, match="to name a sampler class but got 3"):
        make_sampler(name.replace("TabuSampler", "number"))


def test_a_class_in_a_module() -> None:
    assert isinstance(make_sampler("optuna.samplers:CmaEsSampler", seed=0, **COMMON), CmaEsSampler)


def test_a_class_or_a_function_itself() -> None:
    def foreign(seed: int) -> BaseSampler:
        return RandomSampler(seed)

    assert isinstance(make_sampler(TPESampler, seed=0, **COMMON), TPESampler)
    assert isinstance(make_sampler(foreign, seed=0, **COMMON), RandomSampler)
    small = functools.partial(GeneticSampler, population_size=4)
    made: Any = make_sampler(small, seed=0, **COMMON)
    assert (made._population_size, made._space) == (4, CELL)


class HandsOn(GeneticSampler):
    """Takes what its base takes."""

    def __init__(self, tenure: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tenure = tenure


class HandsOnToOptuna(RandomSampler):
    """Takes a seed, as its base does, and no space."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class Plain(RandomSampler):
    """Has no constructor of its own."""


@pytest.mark.parametrize(
    ("factory", "accepted"),
    [
        (HandsOn, {"seed", "space", "prior", "constraints"}),
        (HandsOnToOptuna, {"seed"}),
        (Plain, {"seed"}),
        (object, set()),
        (lambda **kwargs: GeneticSampler(**kwargs), {"seed", "space", "prior", "constraints"}),
        (lambda: RandomSampler(), set()),
        (lambda seed, /: RandomSampler(seed), set()),
    ],
)
def test_accepted_arguments(factory: Callable[..., Any], accepted: set[str]) -> None:
    names = ("seed", "space", "prior", "constraints")
    assert {name for name in names if accepts(factory, name)} == accepted


def test_classes_that_hand_arguments_on_are_made() -> None:
    made: Any = make_sampler(HandsOn, seed=0, tenure=7, **COMMON)
    assert (made._space, made.tenure) == (CELL, 7)
    assert isinstance(make_sampler(HandsOnToOptuna, seed=0, **COMMON), RandomSampler)


# What goes wrong.


def test_a_wrong_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="`sampler` to be one of .*but got 'genetics'") as caught:
        make_sampler("genetics", seed=0)
    assert all(name in str(caught.value) for name in (*OURS, *OPTUNAS, "MODULE:NAME"))


def test_a_module_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"no_such_module:Tabu .* failed: ModuleNotFoundError"):
        make_sampler("no_such_module:Tabu")


def test_listing_names_imports_nothing() -> None:
    code = (
        "import json, sys\n"
        "from optuna_nas.samplers import SAMPLERS\n"
        "before = set(sys.modules)\n"
        "names = list(SAMPLERS)\n"
        "print(json.dumps([names, sorted(set(sys.modules) - before), 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, loaded, torch = json.loads(done.stdout)
    assert "ppo" in names
    assert not [name for name in loaded if name.startswith(("optuna", "torch"))]
    assert not torch


# Loading.


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_torch_is_loaded_on_first_use_only() -> None:
    code = (
        "import sys, optuna_nas, optuna_nas.samplers as samplers\n"
        "before = 'torch' in sys.modules\n"
        "samplers.PPOSampler\n"
        "print(before, 'torch' in sys.modules)"
    )
    assert python(code) == "False True"


def test_missing_torch_is_one_clear_sentence() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "import optuna_nas.samplers\n"
        "try:\n"
        "    from optuna_nas.samplers import PPOSampler\n"
        "except ImportError as error:\n"
        "    print(error)"
    )
    found = python(code)
    assert "need PyTorch: install it with `pip install torch`" in found
    assert len(found.splitlines()) == 1
