"""The learning algorithms that take gradient steps on the loss of an LSTM policy."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optuna_nas.samplers.policy import losses
from optuna_nas.samplers.policy._adam import minimize
from optuna_nas.samplers.policy._agent import Agent
from optuna_nas.samplers.policy._decisions import encode
from optuna_nas.samplers.policy._lstm_policy import LstmPolicy
from optuna_nas.samplers.policy._lstm_policy import LstmWalk
from optuna_nas.samplers.policy._lstm_policy import PolicyOutput
from optuna_nas.samplers.policy._replay import Block
from optuna_nas.samplers.policy._settings import check_ranges
from optuna_nas.samplers.policy._state import DTYPE
from optuna_nas.samplers.policy._state import part
from optuna_nas.samplers.policy._state import PolicyState
from optuna_nas.samplers.policy._state import prefixed
from optuna_nas.samplers.policy._state import rounded


_MOMENTS = "moments/"


@dataclass(frozen=True)
class Lesson:
    """What a policy learns from one block; ``n`` trials of up to ``t`` steps.

    Args:
        rewards: Shape ``(n,)``.
        baseline: Moving average of the rewards of the blocks before, or the block's own mean.
        behaviour_log_probs: Log-probabilities under the proposing policy, shape ``(t, n)``; NaN
            where nobody knows.
        mask: 1 where there is a step, shape ``(t, n)``.
    """

    rewards: Tensor
    baseline: float
    behaviour_log_probs: Tensor
    mask: Tensor


@dataclass(frozen=True)
class PolicyGradientAgent(Agent):
    """An LSTM policy that takes gradient steps on a loss of the block's trials.

    Args:
        policy: The network.
        learning_rate: Step size of Adam, above 0.
        n_epochs: Steps for each block, at least 1.
        entropy_weight: Weight of the entropy bonus, in reward per nat; at least 0.
        baseline_decay: Decay of the moving average of the rewards, in [0, 1).

    Raises:
        ValueError: If an argument is out of its range.
    """

    policy: LstmPolicy
    learning_rate: float
    n_epochs: int
    entropy_weight: float
    baseline_decay: float

    def __post_init__(self) -> None:
        check_ranges(
            learning_rate=(self.learning_rate, "above 0"),
            n_epochs=(self.n_epochs, "at least 1"),
            entropy_weight=(self.entropy_weight, "at least 0"),
            baseline_decay=(self.baseline_decay, "in [0, 1)"),
        )

    @abc.abstractmethod
    def loss(self, output: PolicyOutput, lesson: Lesson) -> Tensor:
        """Return the loss without the entropy bonus."""

    def initial(self) -> PolicyState:
        """Return the first weights."""
        return self.policy.initial()

    def restarted(self, state: PolicyState) -> PolicyState:
        """Return the weights without moments and baseline."""
        return PolicyState(state.decisions, _weights(state))

    def walk(self, state: PolicyState, n: int) -> LstmWalk:
        """Start to walk through ``n`` architectures."""
        return LstmWalk(self.policy, state, n)

    def update(self, state: PolicyState, blocks: Sequence[Block]) -> PolicyState:
        """Take the gradient steps of the last block."""
        episodes = blocks[-1].episodes
        if not episodes:
            return state
        walks = [episode.walked for episode in episodes]
        state = self.policy.extended(state, (decision for walk in walks for decision, _ in walk))
        batch = encode(state.decisions, walks)
        weights, moments = _weights(state), part(state.tensors, _MOMENTS)
        rewards = torch.tensor([r.reward for r in episodes], dtype=DTYPE, device="cpu")
        mean = sum(r.reward for r in episodes) / len(episodes)
        baseline = mean if state.baseline is None else state.baseline
        behaviour = _padded([episode.log_probs for episode in episodes], batch.mask)
        lesson = Lesson(rewards, baseline, behaviour, batch.mask)

        def loss(leaves: Mapping[str, Tensor]) -> Tensor:
            output = self.policy(state, leaves, batch)
            bonus = losses.entropy_loss(output.entropies)
            return self.loss(output, lesson) + self.entropy_weight * bonus

        weights, moments = minimize(
            loss, weights, moments, learning_rate=self.learning_rate, n_steps=self.n_epochs
        )
        tensors = rounded({**weights, **prefixed(moments, _MOMENTS)})
        average = losses.moving_average(state.baseline, mean, self.baseline_decay)
        return PolicyState(state.decisions, tensors, average, state.n_updates + 1)


def _weights(state: PolicyState) -> dict[str, Tensor]:
    return {k: v for k, v in state.tensors.items() if not k.startswith(_MOMENTS)}


def _padded(log_probs: Sequence[Sequence[float]], mask: Tensor) -> Tensor:
    """Bring stored log-probabilities into the shape of ``mask``, 0 where there is no step."""
    padded = torch.zeros_like(mask)
    for n, values in enumerate(log_probs):
        padded[: len(values), n] = torch.tensor(values, dtype=DTYPE, device="cpu")
    return padded
