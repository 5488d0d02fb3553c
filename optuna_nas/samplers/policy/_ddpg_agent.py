"""The learning algorithm of DDPG: actor and critic with target networks and a replay buffer."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optuna_nas.samplers.policy import _losses
from optuna_nas.samplers.policy._actor import actor
from optuna_nas.samplers.policy._actor import critic
from optuna_nas.samplers.policy._actor import decision_rows
from optuna_nas.samplers.policy._actor import first_weights
from optuna_nas.samplers.policy._actor import Transitions
from optuna_nas.samplers.policy._actor import transitions_of
from optuna_nas.samplers.policy._actor_walk import ActorWalk
from optuna_nas.samplers.policy._adam import minimize
from optuna_nas.samplers.policy._agents import Agent
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._policy import encode
from optuna_nas.samplers.policy._replay import Block
from optuna_nas.samplers.policy._replay import Record
from optuna_nas.samplers.policy._state import DTYPE
from optuna_nas.samplers.policy._state import extended
from optuna_nas.samplers.policy._state import part
from optuna_nas.samplers.policy._state import prefixed
from optuna_nas.samplers.policy._state import rounded
from optuna_nas.samplers.policy._state import State


_ACTOR, _CRITIC, _TARGET, _MOMENTS = "actor/", "critic/", "target/", "moments/"


@dataclass(frozen=True)
class DDPGAgent(Agent):
    """Deep deterministic policy gradient over decisions as actions in [0, 1].

    Args:
        size: Units of each of the two hidden layers.
        seed: Seed of the first weights and of the minibatches.
        actor_learning_rate: Step size of the actor.
        critic_learning_rate: Step size of the critic.
        n_steps: Gradient steps for each block.
        batch_size: Transitions of a minibatch.
        buffer_size: How many of the last trials are kept for minibatches.
        tau: How much of the online networks goes into the targets at each step.
        noise: First standard deviation of the noise.
        noise_decay: What the noise is multiplied with after each block.
        baseline_decay: Decay of the moving average of the rewards.
    """

    size: int
    seed: int
    actor_learning_rate: float
    critic_learning_rate: float
    n_steps: int
    batch_size: int
    buffer_size: int
    tau: float
    noise: float
    noise_decay: float
    baseline_decay: float

    def fingerprint(self) -> str:
        """Return the settings as text."""
        return repr(self)

    def initial(self) -> State:
        """Return the first weights; the targets are equal to them."""
        weights = first_weights(self.size, self.seed)
        return State((), {**weights, **prefixed(weights, _TARGET)})

    def restarted(self, state: State) -> State:
        """Return the weights without moments and baseline; the noise does not start anew."""
        weights = {k: v for k, v in state.tensors.items() if not k.startswith(_MOMENTS)}
        return State(state.decisions, weights, None, state.n_updates)

    def walk(self, state: State, n: int) -> ActorWalk:
        """Start to walk through ``n`` architectures, each with somewhat more noise."""
        noise = self.noise * self.noise_decay**state.n_updates
        noises = np.minimum(noise * (1 + np.arange(n) / 4), max(self.noise, noise))
        return ActorWalk(state, self.size, self.seed, noises)

    def update(self, state: State, blocks: Sequence[Block]) -> State:
        """Take the gradient steps of the last block."""
        new = blocks[-1].records
        if not new:
            return state
        state = extended(state, (d for record in new for d, _ in record.walked), self._rows)
        mean = sum(record.reward for record in new) / len(new)
        average = _losses.moving_average(state.baseline, mean, self.baseline_decay)
        rng = np.random.default_rng([self.seed, state.n_updates])
        transitions = self._transitions(state, blocks, average, rng)
        tensors = dict(state.tensors)
        for _ in range(self.n_steps):
            rows = rng.integers(len(transitions.actions), size=self.batch_size)
            tensors = self._step(tensors, transitions.take(torch.from_numpy(rows)))
        return State(state.decisions, rounded(tensors), average, state.n_updates + 1)

    def _rows(self, decision: Decision) -> dict[str, Tensor]:
        rows = decision_rows(decision, self.size, self.seed)
        return {**rows, **prefixed(rows, _TARGET)}

    def _transitions(
        self, state: State, blocks: Sequence[Block], baseline: float, rng: np.random.Generator
    ) -> Transitions:
        """Return the transitions of the block and of as many trials before it as are drawn."""
        new, before = blocks[-1].records, _last(blocks[:-1], self.buffer_size)
        if before:
            new += tuple(before[i] for i in rng.integers(len(before), size=self.batch_size))
        batch = encode(state, [record.walked for record in new])
        rewards = torch.tensor([r.reward for r in new], dtype=DTYPE, device="cpu") - baseline
        return transitions_of(state, batch, rewards)

    def _step(self, tensors: Mapping[str, Tensor], batch: Transitions) -> dict[str, Tensor]:
        """Return all tensors after one step of critic, actor and targets."""
        targets = part(tensors, _TARGET)
        with torch.no_grad():
            next_actions = actor(part(targets, _ACTOR), batch.next_states)
            next_q = critic(part(targets, _CRITIC), batch.next_states, next_actions)
            target = _losses.q_target(batch.rewards, batch.is_last, next_q)
        online_critic, critic_moments = minimize(
            lambda weights: _losses.critic_loss(
                critic(weights, batch.states, batch.actions), target
            ),
            part(tensors, _CRITIC),
            part(tensors, _MOMENTS + _CRITIC),
            learning_rate=self.critic_learning_rate,
        )
        online_actor, actor_moments = minimize(
            lambda weights: _losses.deterministic_policy_loss(
                critic(online_critic, batch.states, actor(weights, batch.states))
            ),
            part(tensors, _ACTOR),
            part(tensors, _MOMENTS + _ACTOR),
            learning_rate=self.actor_learning_rate,
        )
        online = {**prefixed(online_actor, _ACTOR), **prefixed(online_critic, _CRITIC)}
        moved = {k: _losses.soft_update(targets[k], v, self.tau) for k, v in online.items()}
        return {
            **online,
            **prefixed(moved, _TARGET),
            **prefixed(actor_moments, _MOMENTS + _ACTOR),
            **prefixed(critic_moments, _MOMENTS + _CRITIC),
        }


def _last(blocks: Sequence[Block], n: int) -> list[Record]:
    """Return the last ``n`` records of some blocks, the newest first."""
    records: list[Record] = []
    for block in reversed(blocks):
        if len(records) >= n:
            break
        records += reversed(block.records)
    return records[:n]
