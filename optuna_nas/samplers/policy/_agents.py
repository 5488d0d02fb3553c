"""The learning algorithms: pure functions from a state and a block of trials to the next state."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from optuna_nas.samplers.policy import _losses
from optuna_nas.samplers.policy._adam import minimize
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._policy import encode
from optuna_nas.samplers.policy._policy import LstmPolicy
from optuna_nas.samplers.policy._policy import Output
from optuna_nas.samplers.policy._replay import Block
from optuna_nas.samplers.policy._state import DTYPE
from optuna_nas.samplers.policy._state import part
from optuna_nas.samplers.policy._state import prefixed
from optuna_nas.samplers.policy._state import rounded
from optuna_nas.samplers.policy._state import State
from optuna_nas.samplers.policy._walk import LstmWalk


_MOMENTS = "moments/"


class Steps(Protocol):
    """Walks through the decisions of some architectures at once."""

    def step(
        self,
        decision: Decision,
        rng: np.random.Generator,
        *,
        members: np.ndarray | slice = ...,
        given: float | None = ...,
        allowed: np.ndarray | None = ...,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make one decision; see :meth:`LstmWalk.step`."""
        ...


class Agent(abc.ABC):
    """A learning algorithm with its settings; it holds nothing that is learned."""

    uses_log_probs: ClassVar[bool] = False
    """Whether it learns from the log-probability at which a choice was proposed."""

    @abc.abstractmethod
    def initial(self) -> State:
        """Return the state before the first block."""

    @abc.abstractmethod
    def update(self, state: State, blocks: Sequence[Block]) -> State:
        """Learn the last block of ``blocks``; the others were learned before."""

    @abc.abstractmethod
    def walk(self, state: State, n: int) -> Steps:
        """Start to walk through ``n`` architectures."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Return a text that is equal for agents which learn the same from the same trials."""

    @abc.abstractmethod
    def restarted(self, state: State) -> State:
        """Return the weights of a state without what belongs to the study of its trials."""


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
class PolicyAgent(Agent):
    """An LSTM policy that takes gradient steps on a loss of the block's trials.

    Args:
        policy: The network.
        learning_rate: Step size of Adam.
        epochs: Steps for each block.
        entropy_weight: Weight of the entropy bonus.
        baseline_decay: Decay of the moving average of the rewards.
    """

    policy: LstmPolicy
    learning_rate: float
    epochs: int
    entropy_weight: float
    baseline_decay: float

    @abc.abstractmethod
    def loss(self, output: Output, lesson: Lesson) -> Tensor:
        """Return the loss without the entropy bonus."""

    def initial(self) -> State:
        """Return the first weights."""
        return self.policy.initial()

    def fingerprint(self) -> str:
        """Return the settings and the prior as text."""
        prior = self.policy.prior
        return repr(self) + (prior.to_json() if prior is not None else "")

    def restarted(self, state: State) -> State:
        """Return the weights without moments and baseline."""
        return State(state.decisions, _weights(state))

    def walk(self, state: State, n: int) -> LstmWalk:
        """Start to walk through ``n`` architectures."""
        return LstmWalk(self.policy, state, n)

    def update(self, state: State, blocks: Sequence[Block]) -> State:
        """Take the gradient steps of the last block."""
        records = blocks[-1].records
        if not records:
            return state
        walks = [record.walked for record in records]
        state = self.policy.extended(state, (decision for walk in walks for decision, _ in walk))
        batch = encode(state, walks)
        weights, moments = _weights(state), part(state.tensors, _MOMENTS)
        rewards = torch.tensor([r.reward for r in records], dtype=DTYPE, device="cpu")
        mean = sum(r.reward for r in records) / len(records)
        baseline = mean if state.baseline is None else state.baseline
        behaviour = _padded([record.log_probs for record in records], batch.mask)
        lesson = Lesson(rewards, baseline, behaviour, batch.mask)

        def loss(leaves: Mapping[str, Tensor]) -> Tensor:
            output = self.policy(state, leaves, batch)
            bonus = _losses.entropy_loss(output.entropies)
            return self.loss(output, lesson) + self.entropy_weight * bonus

        weights, moments = minimize(
            loss, weights, moments, learning_rate=self.learning_rate, n_steps=self.epochs
        )
        tensors = rounded({**weights, **prefixed(moments, _MOMENTS)})
        average = _losses.moving_average(state.baseline, mean, self.baseline_decay)
        return State(state.decisions, tensors, average, state.n_updates + 1)


def _weights(state: State) -> dict[str, Tensor]:
    return {k: v for k, v in state.tensors.items() if not k.startswith(_MOMENTS)}


def _padded(log_probs: Sequence[Sequence[float]], mask: Tensor) -> Tensor:
    """Bring stored log-probabilities into the shape of ``mask``, 0 where there is no step."""
    padded = torch.zeros_like(mask)
    for n, values in enumerate(log_probs):
        padded[: len(values), n] = torch.tensor(values, dtype=DTYPE, device="cpu")
    return padded
