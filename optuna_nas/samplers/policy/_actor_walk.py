"""DDPG's actor taking one decision after the other, with noise, to propose."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from optuna_nas.samplers.policy._actor import actor_after_inputs
from optuna_nas.samplers.policy._actor import decision_rows
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._state import DTYPE
from optuna_nas.samplers.policy._state import part
from optuna_nas.samplers.policy._state import State


class ActorWalk:
    """The actor walking through ``n`` architectures at once, with noise.

    Args:
        state: The weights; decisions that it does not know get their first ones.
        size: Number of units of a layer.
        seed: Seed of first weights.
        noises: Standard deviation of the noise for each architecture, shape ``(n,)``.
    """

    def __init__(self, state: State, size: int, seed: int, noises: np.ndarray) -> None:
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
        """Make one decision; see :meth:`LstmWalk.step`. Log-probabilities are NaN."""
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
