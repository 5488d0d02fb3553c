"""Ridge regression on choices, against the equation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from optuna_nas._additive_model import AdditiveModel
from optuna_nas._additive_model import ridge_effects


@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("shape", [(20, 30), (30, 20)])
def test_effects_are_those_of_scikit_learn(dual: bool, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.random(shape) < 0.3).astype(float), rng.random(shape[0])
    expected = Ridge(alpha=2.0, fit_intercept=False).fit(x, y - y.mean()).coef_
    np.testing.assert_allclose(ridge_effects(x, y, penalty=2.0, dual=dual), expected, atol=1e-12)


def test_the_model_is_the_same_by_either_system() -> None:
    rng = np.random.default_rng(0)
    x, ranks = (rng.random((20, 30)) < 0.3).astype(float), np.arange(20.0)
    new = (rng.random((5, 30)) < 0.3).astype(float)
    model = AdditiveModel().fit(x, ranks)
    y = ranks / 19
    effects = np.linalg.solve(x.T @ x + np.eye(30), x.T @ (y - y.mean()))
    np.testing.assert_allclose(model.predict(new), new @ effects + y.mean())


def test_one_trial_is_its_own_mean() -> None:
    model = AdditiveModel().fit(np.ones((1, 3)), np.zeros(1))
    assert model.predict(np.ones(3)) == 0
