"""Private names of Optuna: nothing breaks where a version does not have one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from optuna_nas import _compat


NAMES = [
    ("optuna.study._multi_objective", "_fast_non_domination_rank"),
    ("optuna._hypervolume", "compute_hypervolume"),
]
WITHOUT = """
import importlib, sys
import optuna.samplers
optuna.logging.set_verbosity(optuna.logging.ERROR)
module, name = sys.argv[1:]
delattr(importlib.import_module(module), name)

import optuna_nas
from optuna_nas import CellSpace, samplers
from optuna_nas.benchmarks import HypervolumeIndicator
import numpy as np

assert HypervolumeIndicator(np.array([[0.0, 1.0], [1.0, 0.0]])).best > 0
space = CellSpace(n_nodes=3)
for sampler in samplers.__all__:
    if not sampler.endswith("Sampler") or sampler == "ArchitectureSampler":
        continue
    given = (optuna.samplers.RandomSampler(), len) if sampler == "ScreeningSampler" else ()
    made = getattr(samplers, sampler)(*given, space=space, seed=0)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=made)
    def objective(trial):
        text = space.to_string(space.suggest(trial))
        trial.set_constraint("short", len(text) - 36)
        return len(text), text.count("pool")
    study.optimize(objective, n_trials=14)
"""


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_searches_without_a_private_name(module: str, name: str) -> None:
    command = [sys.executable, "-c", WITHOUT, module, name]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4])
def test_without_optunas_functions_results_are_equal(
    n_objectives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(n_objectives)
    cases = []
    for n in (0, 1, 7, 25):
        losses = rng.integers(0, 5, (n, n_objectives)).astype(float)  # With ties.
        cases.append((losses, np.maximum(rng.integers(-4, 4, n), 0).astype(float)))

    def results() -> list[list[float]]:
        reference = np.full(n_objectives, 4.5)
        return [
            [
                *_compat.non_domination_rank(losses, penalties),
                *_compat.on_pareto_front(losses),
                _compat.hypervolume(losses, reference),
            ]
            for losses, penalties in cases
        ]

    expected = results()
    monkeypatch.setattr(_compat, "_private", lambda module, name: None)
    for found, optunas in zip(results(), expected, strict=True):
        assert found == pytest.approx(optunas)
    with pytest.raises(ValueError, match="`losses` to be up to the reference point"):
        _compat.hypervolume(np.ones((1, n_objectives)), np.zeros(n_objectives))
