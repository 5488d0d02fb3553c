"""What a controller has learned of which history."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch

from optuna_nas.samplers.policy._agent import Agent
from optuna_nas.samplers.policy._replay import Block
from optuna_nas.samplers.policy._state import PolicyState


_MAX_STATES = 32


class LearnedStates:
    """Learns the blocks of studies, each once, and keeps the last states.

    A state is found by the digest of the blocks that led to it, whichever study object holds them.
    A history that differs is learned anew.

    Args:
        agent: The learning algorithm.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._initial = agent.initial()
        self._states: OrderedDict[str, PolicyState] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_states": OrderedDict()}

    def pretrain(self, blocks: Sequence[Block]) -> None:
        """Start from what is learned from other blocks."""
        state = self._agent.initial()
        for i in range(len(blocks)):
            state = self._update(state, blocks[: i + 1])
        self._initial = self._agent.restarted(state)
        self._states.clear()

    def after(self, blocks: Sequence[Block]) -> PolicyState:
        """Return the state after all closed blocks of a study; learn the new ones."""
        n_learned, state = self._newest(blocks)
        for i in range(n_learned, len(blocks)):
            state = self._states[blocks[i].digest] = self._update(state, blocks[: i + 1])
            if len(self._states) > _MAX_STATES:
                self._states.popitem(last=False)
        return state

    def _newest(self, blocks: Sequence[Block]) -> tuple[int, PolicyState]:
        for i in reversed(range(len(blocks))):
            digest = blocks[i].digest
            if digest in self._states:
                self._states.move_to_end(digest)
                return i + 1, self._states[digest]
        return 0, self._initial

    def _update(self, state: PolicyState, blocks: Sequence[Block]) -> PolicyState:
        # Whatever the caller has switched off, e.g. around an evaluation.
        with torch.inference_mode(False), torch.enable_grad():
            return self._agent.update(state, blocks)
