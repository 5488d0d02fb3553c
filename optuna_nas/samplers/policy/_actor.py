"""DDPG's networks: one number in [0, 1] for each decision, and what such a number is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._decisions import EncodedWalks
from optuna_nas.samplers.policy._state import DTYPE
from optuna_nas.samplers.policy._state import generator
from optuna_nas.samplers.policy._state import part
from optuna_nas.samplers.policy._state import PolicyState
from optuna_nas.samplers.policy._state import uniform


HERE, MADE, ACTION = range(3)
"""The inputs of each decision: whether it is made now, whether it was made, and its action."""


def first_weights(size: int, seed: int) -> dict[str, Tensor]:
    """Return the first weights of actor and critic, without the rows of decisions."""
    weights: dict[str, Tensor] = {}
    bound = size**-0.5
    for network in ("actor", "critic"):
        rng = generator(seed, network)
        weights[f"{network}/inputs"] = torch.zeros(0, size, dtype=DTYPE, device="cpu")
        weights[f"{network}/bias_1"] = uniform(rng, bound, size)
        weights[f"{network}/layer_2"] = uniform(rng, bound, size, size)
        weights[f"{network}/bias_2"] = uniform(rng, bound, size)
        weights[f"{network}/output"] = uniform(rng, 0.1 * bound, size)
        weights[f"{network}/bias_3"] = torch.zeros(1, dtype=DTYPE, device="cpu")
    weights["critic/action"] = uniform(generator(seed, "action"), 1.0, size)
    return weights


def decision_rows(decision: Decision, size: int, seed: int) -> dict[str, Tensor]:
    """Return the first weights of a decision: a row for each of its three inputs."""
    return {
        f"{network}/inputs": uniform(generator(seed, network + decision.key), 0.5, 3, size)
        for network in ("actor", "critic")
    }


def actor(weights: Mapping[str, Tensor], states: Tensor) -> Tensor:
    """Return the actions in (0, 1).

    Args:
        weights: Those of the actor, by name.
        states: Shape ``(..., 3 * n_decisions)``.

    Returns:
        Shape ``(...)``.
    """
    return actor_after_inputs(weights, states @ weights["inputs"])


def actor_after_inputs(weights: Mapping[str, Tensor], sums: Tensor) -> Tensor:
    """Return the actions, given what the state adds to the first layer, ``(..., size)``."""
    hidden = (sums + weights["bias_1"]).relu()
    hidden = (hidden @ weights["layer_2"].T + weights["bias_2"]).relu()
    return (hidden @ weights["output"] + weights["bias_3"]).sigmoid()


def critic(weights: Mapping[str, Tensor], states: Tensor, actions: Tensor) -> Tensor:
    """Return the values of actions.

    Args:
        weights: Those of the critic, by name.
        states: Shape ``(..., 3 * n_decisions)``.
        actions: In [0, 1], shape ``(...)``.

    Returns:
        Shape ``(...)``.
    """
    hidden = states @ weights["inputs"] + weights["bias_1"]
    hidden = (hidden + (2 * actions - 1)[..., None] * weights["action"]).relu()
    hidden = (hidden @ weights["layer_2"].T + weights["bias_2"]).relu()
    return hidden @ weights["output"] + weights["bias_3"]


@dataclass(frozen=True)
class Transitions:
    """Steps of trials, as a replay buffer gives them; ``n`` rows.

    Args:
        states: What the agent saw, shape ``(n, 3 * n_decisions)``.
        actions: What it did, in (0, 1), shape ``(n,)``.
        rewards: Shape ``(n,)``.
        next_states: What it saw next, anything after the last step; shape like ``states``.
        is_last: 1 at the last step of a trial, shape ``(n,)``.
    """

    states: Tensor
    actions: Tensor
    rewards: Tensor
    next_states: Tensor
    is_last: Tensor

    def take(self, rows: Tensor) -> Transitions:
        """Return some rows."""
        return Transitions(
            self.states[rows],
            self.actions[rows],
            self.rewards[rows],
            self.next_states[rows],
            self.is_last[rows],
        )


def transitions_of(state: PolicyState, batch: EncodedWalks, rewards: Tensor) -> Transitions:
    """Return all steps of a batch of trials.

    Args:
        state: Knows the decisions of the batch.
        batch: ``n`` trials of up to ``t`` steps.
        rewards: Shape ``(n,)``; every step of a trial gets its reward.
    """
    n_choices = np.array([max(decision.n_choices, 1) for decision in state.decisions])
    shares = (batch.choice.to(DTYPE) + 0.5) / torch.from_numpy(n_choices)[batch.decision]
    actions = torch.where(batch.continuous.bool(), batch.number, shares)
    here = one_hot(batch.decision, len(n_choices)).to(DTYPE) * batch.mask[..., None]
    made = here.cumsum(0) - here
    past = here * (2 * actions - 1)[..., None]
    past = past.cumsum(0) - past
    states = torch.stack([here, made, past], dim=-1).flatten(2)
    real = batch.mask.bool()
    following = torch.cat([batch.mask[1:], torch.zeros_like(batch.mask[:1])])
    return Transitions(
        states[real],
        actions[real],
        rewards.expand_as(batch.mask)[real],
        states.roll(-1, 0)[real],
        1 - following[real],
    )


class ActorWalk:
    """The actor walking through ``n`` architectures at once, with noise.

    Args:
        state: The weights; decisions that it does not know get their first ones.
        size: Number of units of a layer.
        seed: Seed of first weights.
        noises: Standard deviation of the noise for each architecture, shape ``(n,)``.
    """

    def __init__(self, state: PolicyState, size: int, seed: int, noises: np.ndarray) -> None:
        self._weights = part(state.tensors, "actor/")
        self._size, self._seed, self._noises = size, seed, noises
        self._index = {decision.key: i for i, decision in enumerate(state.decisions)}
        self._sums = torch.zeros(len(noises), size, dtype=DTYPE, device="cpu")

    @torch.no_grad()
    def step(
        self,
        decision: Decision,
        rng: np.random.Generator,
        *,
        members: np.ndarray | slice = slice(None),
        given: float | None = None,
        allowed: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make one decision; see :meth:`Steps.step`."""
        here, made, action = self._rows(decision)
        select = torch.from_numpy(members) if isinstance(members, np.ndarray) else members
        noises = self._noises[members]
        if given is None:
            means = actor_after_inputs(self._weights, self._sums[select] + here).numpy()
            positions = _nearest(decision, truncated_normal(means, noises, rng), allowed)
        else:
            positions = np.full(len(noises), given)
        actions = torch.from_numpy(decision.actions(positions))
        self._sums[select] += made + (2 * actions - 1)[:, None] * action
        return positions, np.full(len(positions), np.nan)

    def _rows(self, decision: Decision) -> Tensor:
        if decision.key in self._index:
            first = 3 * self._index[decision.key]
            return self._weights["inputs"][first : first + 3]
        return decision_rows(decision, self._size, self._seed)["actor/inputs"]


def truncated_normal(
    means: np.ndarray, stds: np.ndarray, rng: np.random.Generator, *, n_tries: int = 16
) -> np.ndarray:
    """Draw from normal distributions that are restricted to [0, 1] (AMC, section 3.2).

    Args:
        means: In [0, 1], shape ``(n,)``.
        stds: Standard deviations before the restriction, shape ``(n,)``.
        rng: Random generator.
        n_tries: So many draws outside [0, 1] are rejected; then the mean is taken.
    """
    drawn = means + stds * rng.standard_normal((n_tries, len(means)))
    drawn = np.concatenate([drawn, means[None]])
    inside = (drawn >= 0) & (drawn <= 1)
    numbers: np.ndarray = np.take_along_axis(drawn, inside.argmax(0)[None], 0)[0]
    return numbers


def _nearest(decision: Decision, actions: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    """Return the positions for some actions, among those that are allowed."""
    if allowed is None:
        return decision.from_actions(actions)
    indices = np.flatnonzero(allowed).astype(float)
    distances = abs(decision.actions(indices)[:, None] - actions)
    nearest: np.ndarray = indices[distances.argmin(0)]
    return nearest
