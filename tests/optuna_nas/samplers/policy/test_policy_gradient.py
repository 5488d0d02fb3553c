"""One update of a policy: gradient steps, the moving average, and what is rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from optuna_nas import CellSpace
from optuna_nas.samplers.policy import Block
from optuna_nas.samplers.policy import Decision
from optuna_nas.samplers.policy import Episode
from optuna_nas.samplers.policy import Lesson
from optuna_nas.samplers.policy import LstmPolicy
from optuna_nas.samplers.policy import PolicyGradientAgent
from optuna_nas.samplers.policy import PolicyOutput
from optuna_nas.samplers.policy import PolicyState


DECISIONS = [Decision(n, d) for n, d in CellSpace().distributions.items()][:3]
LESSONS: list[Lesson] = []


@dataclass(frozen=True)
class Likelier(PolicyGradientAgent):
    """Makes everything that it sees likelier, and remembers its lessons."""

    def loss(self, output: PolicyOutput, lesson: Lesson) -> Tensor:
        LESSONS.append(lesson)
        return -output.log_probs.sum()


def agent(n_epochs: int = 1, baseline_decay: float = 0.5) -> Likelier:
    LESSONS.clear()
    return Likelier(LstmPolicy(hidden_size=4, seed=0), 0.05, n_epochs, 0.0, baseline_decay)


def block(
    *rewards: float, choice: float = 3.0, log_probs: Sequence[float] = (-1.0, -2.0)
) -> Block:
    walked = [(decision, choice) for decision in DECISIONS[: len(log_probs)]]
    return Block(tuple(Episode(walked, tuple(log_probs), reward) for reward in rewards), "")


def probability(made: Likelier, state: PolicyState) -> float:
    """Return the probability of choice 3 of the first decision."""
    rng = np.random.default_rng(0)
    return float(np.exp(made.walk(state, 1).step(DECISIONS[0], rng, given=3.0)[1][0]))


def test_steps_go_down_the_loss_and_more_steps_go_further() -> None:
    after = []
    for n_epochs in (1, 5):
        made = agent(n_epochs)
        first = made.initial()
        after.append(probability(made, made.update(first, [block(1.0, 2.0)])))
        assert len(LESSONS) == n_epochs
    assert probability(made, first) < after[0] < after[1]


def test_a_lesson_by_hand() -> None:
    made = agent()
    blocks = [block(1.0, 3.0), block(5.0), block(0.0, log_probs=[-0.5])]
    state = made.initial()
    for n in range(3):
        state = made.update(state, blocks[: n + 1])
    # The mean of the first block, then the moving average of the blocks before.
    assert [lesson.baseline for lesson in LESSONS] == [2.0, 2.0, 3.5]
    assert LESSONS[0].rewards.tolist() == [1.0, 3.0]
    assert LESSONS[0].behaviour_log_probs.tolist() == [[-1.0, -1.0], [-2.0, -2.0]]
    assert LESSONS[2].behaviour_log_probs.tolist() == [[-0.5]]
    assert state.baseline == 1.75
    assert state.n_updates == 3


def test_a_block_without_episodes_teaches_nothing() -> None:
    made = agent()
    state = made.update(made.initial(), [block(1.0)])
    assert made.update(state, [block(1.0), Block((), "")]) is state


def test_numbers_are_rounded_after_each_block() -> None:
    made = agent()
    state = made.update(made.initial(), [block(1.0)])
    for tensor in state.tensors.values():
        assert tensor.dtype == torch.float64
        assert torch.equal(tensor, tensor.float().double())


def test_starting_anew_keeps_the_weights_alone() -> None:
    made = agent()
    state = made.update(made.initial(), [block(1.0)])
    anew = made.restarted(state)
    assert (anew.baseline, anew.n_updates) == (None, 0)
    assert anew.decisions == state.decisions
    assert anew.tensors.keys() == made.initial().tensors.keys()
    assert probability(made, anew) == pytest.approx(probability(made, state))
