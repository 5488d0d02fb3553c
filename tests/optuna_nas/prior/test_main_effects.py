"""Priors from scores: planted effects of the choices are found again."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.prior import prior_from_scores
from optuna_nas.spaces import MobileStage


STAGE = MobileStage(depths=(1, 2), widths=(8, 16), kernels=(3, 5), expansions=(1, 3))
SPACES: dict[str, SearchSpace] = {
    "cell": CellSpace(),
    "chain": ChainSpace(max_depth=3, filters=(4, 8, 12), kernel_sizes=(3, 5), units=(8, 16)),
    "mobile": MobileSpace([STAGE, STAGE]),
    "darts": DartsSpace(n_nodes=2, operations=("sep_conv_3x3", "max_pool_3x3", "none")),
}


def choices(distribution: BaseDistribution) -> Sequence[Any]:
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    assert isinstance(distribution, CategoricalDistribution)
    return distribution.choices


def planted(space: SearchSpace, seed: int) -> dict[str, dict[Any, float]]:
    """Draw an effect for each choice, of mean 0 in a decision and well apart from others."""
    rng = np.random.default_rng(seed)
    effects: dict[str, dict[Any, float]] = {}
    for name, distribution in space.distributions.items():
        own = choices(distribution)
        values = rng.permutation(len(own)) - (len(own) - 1) / 2
        effects[name] = dict(zip(own, values, strict=True))
    return effects


def drawn(space: SearchSpace, n: int, seed: int = 0) -> list[Architecture]:
    rng, uniform = np.random.default_rng(seed), Prior(space, {})
    return [uniform.sample(rng) for _ in range(n)]


def score(architecture: Architecture, effects: dict[str, dict[Any, float]]) -> float:
    return sum(effects[name][choice] for name, choice in architecture.items())


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("name", SPACES)
def test_planted_effects_are_found(name: str, noise: float) -> None:
    space, rng = SPACES[name], np.random.default_rng(5)
    effects, architectures = planted(space, 1), drawn(space, 600)
    scores = [score(a, effects) + noise * rng.standard_normal() for a in architectures]
    prior = prior_from_scores(space, architectures, scores)
    for decision, distribution in space.distributions.items():
        values = list(effects[decision].values())
        always = all(decision in a for a in architectures)
        if not always and sum(decision in a for a in architectures) < 100:
            continue
        found = prior[decision]
        if noise == 0 or always:
            assert int(found.argmax()) == int(np.argmax(values)), decision
        if always and not noise and not depends(space, decision, architectures):
            assert np.argsort(found).tolist() == np.argsort(values).tolist(), decision
        assert len(choices(distribution)) == len(found)
    best = prior.most_likely()
    assert space.contains(best)
    assert score(best, effects) >= np.quantile([score(a, effects) for a in architectures], 0.99)


def depends(space: SearchSpace, decision: str, architectures: list[Architecture]) -> bool:
    """Tell whether others are active or not depending on a decision."""
    active: dict[Any, set[str]] = {}
    for architecture in architectures:
        if decision in architecture:
            own = set(architecture)
            active[architecture[decision]] = active.get(architecture[decision], own) & own
    return len({frozenset(names) for names in active.values()}) > 1


def test_probabilities_are_those_of_ridge_regression_on_ranks() -> None:
    """By the textbook: minimise ||y - X b||^2 + ||b||^2 with an intercept, by many small steps."""
    space = CellSpace(n_nodes=3, operations=("none", "skip_connect", "nor_conv_1x1"))
    architectures, rng = drawn(space, 30), np.random.default_rng(2)
    scores = rng.standard_normal(30)
    names = [(n, c) for n, d in space.distributions.items() for c in choices(d)]
    x = np.array([[float(a[n] == c) for n, c in names] for a in architectures])
    y = np.array([(sum(s < t for s in scores) + 0.5) / 30 for t in scores])
    b, intercept = np.zeros(len(names)), 0.0
    for _ in range(20000):
        error = x @ b + intercept - y
        b -= 0.01 * (x.T @ error + b)
        intercept -= 0.01 * error.sum()
    prior = prior_from_scores(space, architectures, scores, temperature=0.2)
    for decision in space.distributions:
        own = np.array([v for (n, _), v in zip(names, b, strict=True) if n == decision])
        expected = np.exp(own / 0.2) / np.exp(own / 0.2).sum()
        np.testing.assert_allclose(prior[decision], expected, rtol=1e-6)


def test_only_the_order_of_the_scores_counts() -> None:
    space, architectures = SPACES["cell"], drawn(SPACES["cell"], 50)
    scores = np.random.default_rng(0).standard_normal(50)
    first = prior_from_scores(space, architectures, scores.tolist())
    second = prior_from_scores(space, architectures, np.exp(3 * scores).tolist())
    assert first.to_json() == second.to_json()
    infinite = np.where(scores == scores.min(), -math.inf, scores)
    assert prior_from_scores(space, architectures, infinite.tolist()).to_json() == first.to_json()


def test_equal_scores_leave_all_choices_equal() -> None:
    space = SPACES["chain"]
    prior = prior_from_scores(space, drawn(space, 40), [0.5] * 40)
    for name in space.distributions:
        np.testing.assert_allclose(prior[name], 1 / len(prior[name]))


def test_a_decision_that_never_was_active_is_uniform() -> None:
    space = SPACES["chain"]
    shallow = [a for a in drawn(space, 200) if a["depth"] == 1]
    prior = prior_from_scores(space, shallow, list(range(len(shallow))))
    np.testing.assert_allclose(prior["layer_3_filters"], 1 / 3)
    assert prior["layer_1_filters"].max() > 0.34


def test_temperature_and_floor() -> None:
    space, architectures = SPACES["cell"], drawn(SPACES["cell"], 100)
    scores = [score(a, planted(space, 1)) for a in architectures]
    sharp, soft = (
        prior_from_scores(space, architectures, scores, temperature=t) for t in (0.01, 1.0)
    )
    assert sharp["edge_0_1"].max() > 0.9 > 0.4 > soft["edge_0_1"].max()
    ratio = np.log(sharp["edge_0_3"][0] / sharp["edge_0_3"][1])
    assert ratio == pytest.approx(
        100 * np.log(soft["edge_0_3"][0] / soft["edge_0_3"][1]), rel=1e-6
    )
    assert prior_from_scores(space, architectures, scores, floor=0.3).floor == 0.3


CELLS = drawn(SPACES["cell"], 3)


@pytest.mark.parametrize(
    ("architectures", "scores", "message"),
    [
        ([], [], "at least 2, but got 0 and 0"),
        (CELLS[:1], [1.0], "at least 2, but got 1 and 1"),
        (CELLS, [1.0, 2.0], "to be as many, .* but got 3 and 2"),
        (CELLS, [1.0, math.nan, 2.0], "`scores` to be numbers but got NaN"),
        ([*CELLS[:2], drawn(SPACES["chain"], 1)[0]], [1.0, 2.0, 3.0], "cell.*chain"),
    ],
)
def test_wrong_scores(architectures: Any, scores: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^Expected .*{message}"):
        prior_from_scores(SPACES["cell"], architectures, scores)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_wrong_temperature(temperature: float) -> None:
    with pytest.raises(ValueError, match="`temperature` to be above 0 but got"):
        prior_from_scores(SPACES["cell"], CELLS, [1, 2, 3], temperature=temperature)


def test_wrong_floor() -> None:
    with pytest.raises(ValueError, match="`floor` to be in"):
        prior_from_scores(SPACES["cell"], CELLS, [1, 2, 3], floor=2.0)
