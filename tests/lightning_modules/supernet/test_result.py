"""What is poor about the result of a stage, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import PathScores
from lightning_modules.supernet import SupernetResult
from lightning_modules.supernet._result import uncertainty
from lightning_modules.tasks import Classification
from lightning_modules.tasks import Regression
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import Evaluation
from optuna_nas.prior import Prior


SPACE = CellSpace(n_nodes=3)
SURE = {name: np.array([0.9, 0.025, 0.025, 0.025, 0.025]) for name in SPACE.distributions}
TASKS = {"classes": Classification(3), "numbers": Regression(2)}


def result(task: str = "classes", losses: tuple[float, ...] = (), **arguments: Any) -> Any:
    """Return a result with these losses of its paths."""
    scores = None
    if losses:
        left = iter(losses)

        def evaluate(architecture: Architecture) -> Evaluation:
            return Evaluation({"val_loss": next(left)})

        scores = PathScores(SPACE.freeze({"edge_0_1": "none", "edge_0_2": "none"}))
        scores.fill(evaluate, len(losses))
    supernet = build_supernet(SPACE, TASKS[task], input_shape=(1, 8, 8), channels=4)
    prior = Prior(SPACE, SURE)
    return SupernetResult(
        **{
            "architecture": prior.most_likely(),
            "prior": prior,
            "supernet": supernet,
            "path": None,
            "scores": scores,
            "collapsed": None,
            **arguments,
        }
    )


def test_nothing_is_poor() -> None:
    assert result().problem is None
    assert result(losses=(0.5, 0.6, 0.7, 1.2, 9.0)).problem is None


def test_a_collapse_comes_first() -> None:
    found = result(collapsed="3 of 3 operations are `skip_connect`", prior=Prior(SPACE, {}))
    assert found.problem == (
        "The supernet stage looks collapsed: 3 of 3 operations are `skip_connect`"
    )


def test_a_uniform_prior() -> None:
    assert uncertainty(Prior(SPACE, {})) == pytest.approx(1.0)
    assert uncertainty(Prior(SPACE, SURE)) < 0.6
    assert "close to uniform" in result(prior=Prior(SPACE, {})).problem


@pytest.mark.parametrize(("task", "guess"), [("classes", np.log(3)), ("numbers", 1.0)])
def test_paths_that_guess(task: str, guess: float) -> None:
    poor = (0.1, 0.2, 0.97 * guess, guess, 2 * guess)
    assert "has hardly learned" in result(task, poor).problem
    assert result(task, (0.1, 0.2, 0.9 * guess, guess, 2 * guess)).problem is None
