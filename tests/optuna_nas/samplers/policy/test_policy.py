"""Decisions, the LSTM policy, DDPG's actor, rewards: everything of the controllers but studies."""

from __future__ import annotations

from collections import Counter
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest
import torch

from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas.prior import Prior
from optuna_nas.samplers.core import _values
from optuna_nas.samplers.core._domain import Domain
from optuna_nas.samplers.policy import ChebyshevScalarization
from optuna_nas.samplers.policy import MnasNetScalarization
from optuna_nas.samplers.policy import Outcomes
from optuna_nas.samplers.policy import RankReward
from optuna_nas.samplers.policy import ScoreReward
from optuna_nas.samplers.policy._actor import transitions_of
from optuna_nas.samplers.policy._actor_walk import truncated_normal
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._heads import categorical
from optuna_nas.samplers.policy._heads import draw_choices
from optuna_nas.samplers.policy._heads import draw_numbers
from optuna_nas.samplers.policy._heads import flat_gaussian
from optuna_nas.samplers.policy._heads import squashed_gaussian
from optuna_nas.samplers.policy._policy import encode
from optuna_nas.samplers.policy._policy import LstmPolicy
from optuna_nas.samplers.policy._policy import Walked
from optuna_nas.samplers.policy._proposals import walk_through
from optuna_nas.samplers.policy._state import rounded
from optuna_nas.samplers.policy._state import State
from optuna_nas.samplers.policy._walk import LstmWalk


DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "categorical": CategoricalDistribution(("a", None, True, 1.5)),
    "int": IntDistribution(-3, 7),
    "int-step": IntDistribution(0, 10, step=5),
    "int-log": IntDistribution(1, 8, log=True),
    "int-wide": IntDistribution(0, 1000),
    "int-wide-log": IntDistribution(1, 1000, log=True),
    "float": FloatDistribution(-1, 1),
    "float-step": FloatDistribution(0, 1, step=0.25),
    "float-step-wide": FloatDistribution(0, 1, step=0.01),
    "float-log": FloatDistribution(1e-4, 1e-1, log=True),
    "single": IntDistribution(3, 3),
}
MIXED = CustomSpace(
    {
        "depth": IntDistribution(1, 3),
        **{f"kernel_{i}": CategoricalDistribution([3, 5, 7, 9]) for i in (1, 2, 3)},
    },
    active_if={f"kernel_{i}": lambda params, i=i: params["depth"] >= i for i in (2, 3)},
)
RATE = FloatDistribution(1e-5, 1e-1, log=True)


# Decisions.


@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
def test_positions_are_values(name: str) -> None:
    decision = Decision(name, DISTRIBUTIONS[name])
    rng = np.random.default_rng(0)
    for _ in range(200):
        value = _values.draw(name, decision.distribution, rng)
        position = decision.position(value)
        back = decision.value(position)
        assert type(back) is type(value)
        assert back == value or back == pytest.approx(value, rel=1e-4, abs=1e-5)
        action = decision.actions(np.array([position]))
        assert 0 < action[0] < 1
        assert decision.from_actions(action)[0] == position
    assert decision.n_choices == {
        "categorical": 4,
        "int": 11,
        "int-step": 3,
        "int-log": 8,
        "float-step": 5,
        "single": 1,
    }.get(name, 0)


def test_values_out_of_range_count_as_the_nearest() -> None:  # Optuna lets them be enqueued.
    decision = Decision("x", IntDistribution(0, 4))
    assert [decision.position(value) for value in (-3, 9)] == [0, 4]
    wide = Decision("x", FloatDistribution(0, 1))
    assert [wide.position(value) for value in (-3, 9)] == [1e-6, 1 - 1e-6]


def test_first_probabilities() -> None:
    log = Decision("x", IntDistribution(1, 8, log=True)).initial_probabilities(None)
    expected = [math.log((v + 0.5) / (v - 0.5)) / math.log(8.5 / 0.5) for v in range(1, 9)]
    np.testing.assert_allclose(log, expected)
    prior = Prior(MIXED, {"kernel_1": [3, 1, 0, 0]}, floor=0.2)
    kernel = Decision("kernel_1", MIXED.distributions["kernel_1"])
    np.testing.assert_allclose(kernel.initial_probabilities(prior), [0.65, 0.25, 0.05, 0.05])
    other = Decision("kernel_1", CategoricalDistribution([1, 2]))
    np.testing.assert_allclose(other.initial_probabilities(prior), [0.5, 0.5])


# Heads.


def test_squashed_gaussian_is_a_density_on_the_unit_interval() -> None:
    n = 20_000
    number = torch.from_numpy((np.arange(n) + 0.5) / n)
    for outputs in ([0.0, 0.0], [1.0, 2.0], flat_gaussian()):
        parameters = torch.tensor(np.asarray(outputs)).expand(n, 2)
        log_density, entropy = squashed_gaussian(parameters, number)
        assert log_density.exp().mean().item() == pytest.approx(1, abs=1e-4)
        drawn = draw_numbers(parameters, np.random.default_rng(0))
        mean = (log_density.exp() * number).mean().item()
        assert drawn.mean() == pytest.approx(mean, abs=0.01)
        assert entropy[0].isfinite()
    flat = log_density.exp()[n // 10 : -n // 10]  # Of the last outputs above.
    assert flat.min() > 0.7
    assert flat.max() < 1.3


def test_choices_are_drawn_with_their_probabilities() -> None:
    log_probs = np.log(np.tile([0.5, 0.2, 0.3], (6000, 1)))
    rng = np.random.default_rng(0)
    shares = np.bincount(draw_choices(log_probs, rng)) / 6000
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=0.02)
    allowed = np.array([False, True, True])
    shares = np.bincount(draw_choices(log_probs, rng, allowed)) / 6000
    np.testing.assert_allclose(shares, [0, 0.4, 0.6], atol=0.02)
    hopeless = np.array([[0.0, -np.inf, -np.inf]])
    assert draw_choices(hopeless, rng, allowed)[0] in (1, 2)


def test_categorical_ignores_choices_that_are_not_there() -> None:
    scores = torch.tensor([[0.0, math.log(3.0), -math.inf]]).double().requires_grad_()
    log_prob, entropy = categorical(scores, torch.tensor([1]))
    assert log_prob.item() == pytest.approx(math.log(0.75))
    assert entropy.item() == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    (found,) = torch.autograd.grad(log_prob.sum() + entropy.sum(), [scores])
    assert found.isfinite().all()


# The policy.


def trained(policy: LstmPolicy, decisions: list[Decision]) -> State:
    """Return a state that is far from the first one."""
    state = policy.extended(policy.initial(), decisions)
    generator = torch.Generator().manual_seed(0)
    noisy = {
        k: v + 0.5 * torch.randn(v.shape, generator=generator, dtype=torch.float64)
        for k, v in state.tensors.items()
    }
    return State(state.decisions, noisy)


DECISIONS = [Decision(k, v) for k, v in {**MIXED.distributions, "rate": RATE}.items()]


def test_walking_and_batches_agree_on_probabilities() -> None:
    policy = LstmPolicy(size=7, seed=0)
    state = trained(policy, DECISIONS)
    domain = Domain({**MIXED.distributions, "rate": RATE}, MIXED, None)
    rng = np.random.default_rng(0)
    made = walk_through(LstmWalk(policy, state, 40), 40, domain, rng)
    assert len({len(params) for params, _ in made}) == 3
    walks: list[Walked] = []
    for params, _ in made:
        known = [decision for decision in DECISIONS if decision.name in params]
        walks.append([(d, d.position(params[d.name])) for d in known])
    batch = encode(state, walks)
    output = policy(state, state.tensors, batch)
    for k, (params, log_probs) in enumerate(made):
        n = len(params)
        np.testing.assert_allclose(
            output.log_probs[:n, k].numpy(), list(log_probs.values()), rtol=1e-6, atol=1e-6
        )
        assert not output.log_probs[n:, k].any()
        assert not output.entropies[n:, k].any()
        assert not output.values[n:, k].any()


def test_probabilities_of_all_architectures_sum_to_one() -> None:
    policy = LstmPolicy(size=7, seed=0)
    state = trained(policy, DECISIONS)
    walks: list[Walked] = []
    for i in range(MIXED.size):
        params = MIXED.architecture_at(i)
        decisions = [Decision(name, MIXED.distributions[name]) for name in params]
        walks.append([(d, d.position(params[d.name])) for d in decisions])
    log_probs = policy(state, state.tensors, encode(state, walks)).log_probs.sum(0)
    assert log_probs.exp().sum().item() == pytest.approx(1)
    rng = np.random.default_rng(0)
    domain = Domain(MIXED.distributions, MIXED, None)
    made = walk_through(LstmWalk(policy, state, 20_000), 20_000, domain, rng)
    counts = Counter(MIXED.architecture(params) for params, _ in made)
    shares = [counts[MIXED.architecture_at(i)] / 20_000 for i in range(MIXED.size)]
    np.testing.assert_allclose(shares, log_probs.exp().numpy(), atol=0.012)


def test_first_policy_is_close_to_uniform_and_to_the_prior() -> None:
    rng = np.random.default_rng(0)
    kernel = Decision("kernel_1", MIXED.distributions["kernel_1"])
    plain = LstmPolicy(size=32, seed=0)
    log_probs = LstmWalk(plain, plain.initial(), 1).step(kernel, rng, given=2)[1]
    assert math.exp(log_probs[0]) == pytest.approx(0.25, abs=0.03)
    prior = Prior(MIXED, {"kernel_1": [0, 0, 1, 0]}, floor=0.2)
    guided = LstmPolicy(size=32, seed=0, prior=prior)
    state = guided.extended(guided.initial(), [kernel])
    log_probs = LstmWalk(guided, state, 1).step(kernel, rng, given=2)[1]
    assert math.exp(log_probs[0]) == pytest.approx(0.85, abs=0.03)
    rates = LstmWalk(plain, plain.initial(), 4000).step(Decision("rate", RATE), rng)[0]
    quarters = np.histogram(rates, bins=4, range=(0, 1))[0] / 4000
    np.testing.assert_allclose(quarters, 0.25, atol=0.05)


def test_decisions_are_known_once_and_in_any_order() -> None:
    policy = LstmPolicy(size=4, seed=0)
    state = policy.extended(policy.initial(), [*DECISIONS, *DECISIONS])
    assert state.decisions == tuple(DECISIONS)
    assert state.tensors["decision"].shape == (5, 4)
    assert state.tensors["choice"].shape == (3 + 3 * 4 + 2, 4)
    assert policy.extended(state, DECISIONS) is state
    parts = policy.extended(policy.extended(policy.initial(), DECISIONS[3:]), DECISIONS)
    rows = {d.key: i for i, d in enumerate(parts.decisions)}
    order = [rows[decision.key] for decision in DECISIONS]
    assert torch.equal(parts.tensors["decision"][order], state.tensors["decision"])


def test_rounding_removes_the_last_bits() -> None:
    value = torch.tensor([1 / 3, 1 / 3 + 1e-15, 2.0], dtype=torch.float64)
    once = rounded({"x": value})["x"]
    assert once[0] == once[1]
    assert torch.equal(rounded({"x": once})["x"], once)
    assert once.dtype == torch.float64


# DDPG's actor.


def test_states_hold_the_position_and_the_choices_before() -> None:
    policy = LstmPolicy(size=4, seed=0)
    state = policy.extended(policy.initial(), DECISIONS)
    depth, first, second, _, rate = DECISIONS
    walks = [
        [(depth, 1.0), (first, 0.0), (second, 3.0), (rate, 0.9)],
        [(depth, 0.0), (first, 2.0)],
    ]
    batch = encode(state, walks)
    found = transitions_of(state, batch, torch.tensor([0.5, -1.0], dtype=torch.float64))
    assert found.states.shape == (6, 15)
    by_trial = {0: [0, 2, 4, 5], 1: [1, 3]}  # Step by step, the trials side by side.
    np.testing.assert_allclose(found.actions[by_trial[0]], [0.5, 0.125, 0.875, 0.9])
    np.testing.assert_allclose(found.rewards[by_trial[1]], -1.0)
    assert found.is_last.tolist() == [0, 0, 0, 1, 0, 1]
    last = found.states[5].reshape(5, 3)  # Rows: decisions; columns: here, made, action.
    np.testing.assert_allclose(
        last, [[0, 1, 0.0], [0, 1, -0.75], [0, 1, 0.75], [0, 0, 0], [1, 0, 0]], atol=1e-12
    )
    np.testing.assert_allclose(found.next_states[4], found.states[5])
    np.testing.assert_allclose(found.next_states[1], found.states[3])


def test_truncated_normal() -> None:
    rng = np.random.default_rng(0)
    drawn = truncated_normal(np.full(20_000, 0.9), np.full(20_000, 0.5), rng)
    assert (drawn >= 0).all()
    assert (drawn <= 1).all()
    z = (np.arange(20_000) + 0.5) / 20_000
    density = np.exp(-0.5 * ((z - 0.9) / 0.5) ** 2)
    assert drawn.mean() == pytest.approx((z * density).sum() / density.sum(), abs=0.01)
    assert truncated_normal(np.array([0.3]), np.array([0.0]), rng) == 0.3


# Rewards.


def outcomes(values: Any, n_new: int, maximize: tuple[bool, ...] = (True,)) -> Outcomes:
    array = np.array(values, dtype=float)
    array = array.reshape(len(array), -1)
    return Outcomes(array, np.array(maximize), n_new, block=0)


def test_rank_reward_by_hand() -> None:
    np.testing.assert_allclose(RankReward()(outcomes([1, 5, 3, 3, 9], 3)), [-1 / 4, -1 / 4, 1])
    np.testing.assert_allclose(RankReward()(outcomes([1, 5, 9], 1, (False,))), [-1])
    np.testing.assert_allclose(RankReward(window=2)(outcomes([0, 5, 3], 1)), [-1])
    np.testing.assert_allclose(RankReward(window=1)(outcomes([5, 3, 4], 2)), [-1, 1])
    np.testing.assert_allclose(RankReward()(outcomes([7], 1)), [0])
    extremes = RankReward()(outcomes([math.inf, -math.inf, 0], 3))
    np.testing.assert_allclose(extremes, [1, -1, 0])


def test_mnasnet_by_hand() -> None:
    product = MnasNetScalarization(target=80.0)
    found = product(outcomes([[0.75, 80], [0.75, 160], [0.75, 40]], 3, (True, False)))
    np.testing.assert_allclose(found, [0.75, 0.75 * 2**-0.07, 0.75 * 2**0.07])
    other = MnasNetScalarization(target=10.0, exponent=-1, accuracy=1, latency=0)
    np.testing.assert_allclose(other(outcomes([[20, 0.5]], 1, (False, True))), [0.25])
    reward = ScoreReward(product, factor=2.0)
    found = reward(outcomes([[0.7, 80], [0.75, 80]], 1, (True, False)))
    np.testing.assert_allclose(found, [1.5])


def test_chebyshev_prefers_what_dominates_and_changes_its_weights() -> None:
    scalarize = ChebyshevScalarization()
    values = [[0.9, 10], [0.8, 20], [0.5, 5], [0.9, math.inf]]
    orders = set()
    for block in range(30):
        given = outcomes(values, 4, (True, False))
        scores = scalarize(Outcomes(given.values, given.maximize, 4, block))
        assert scores[0] > scores[1]
        assert scores[0] >= scores[3]
        assert np.isfinite(scores).all()
        orders.add(bool(scores[0] > scores[2]))
        again = ChebyshevScalarization()(Outcomes(given.values, given.maximize, 4, block))
        np.testing.assert_array_equal(scores, again)
    assert orders == {True, False}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RankReward(window=0), "`window` to be at least 1 but got 0"),
        (lambda: MnasNetScalarization(0), "`target` to be above 0 but got 0"),
        (lambda: MnasNetScalarization(1, exponent=1), "`exponent` to be at most 0 but got 1"),
    ],
)
def test_wrong_arguments_of_rewards(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


def test_policy_of_a_large_space_walks_within_its_conditions() -> None:
    space = ChainSpace(max_depth=4)
    policy = LstmPolicy(size=8, seed=0)
    domain = Domain(space.distributions, space, None, fixed={"depth": 3})
    made = walk_through(
        LstmWalk(policy, policy.initial(), 30), 30, domain, np.random.default_rng(0)
    )
    for params, log_probs in made:
        assert params["depth"] == 3
        assert space.contains(space.architecture(params))
        assert set(space.architecture(params)) == set(params) == set(log_probs)
