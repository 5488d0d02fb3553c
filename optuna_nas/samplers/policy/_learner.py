"""What a controller has learned of which history: every state is named by what led to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
import hashlib
from typing import Any

from optuna.study import Study
import torch

from optuna_nas.samplers.policy._agents import Agent
from optuna_nas.samplers.policy._cache import WeightCache
from optuna_nas.samplers.policy._replay import Block
from optuna_nas.samplers.policy._state import State


_MAX_STATES = 32


class Learner:
    """Learns the blocks of a study, each once.

    The last states are kept under a hash of all blocks that led to them. So a state is found
    again whenever the history is the same, whichever study object holds it, and a history that
    differs is learned anew.

    Args:
        agent: The learning algorithm.
        cache: Optional store of states that outlives the process.
    """

    def __init__(self, agent: Agent, cache: WeightCache | None = None) -> None:
        self._agent = agent
        self._cache = cache
        self._initial = agent.initial()
        self._origin = agent.fingerprint()
        self._states: OrderedDict[str, State] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_states": OrderedDict()}

    def pretrain(self, blocks: Sequence[Block]) -> None:
        """Start from what is learned from other blocks."""
        state = self._agent.initial()
        for i in range(len(blocks)):
            state = self._update(state, blocks[: i + 1])
        self._initial = self._agent.restarted(state)
        self._origin = self._agent.fingerprint() + (blocks[-1].digest if blocks else "")
        self._states.clear()

    def state(self, study: Study, blocks: Sequence[Block]) -> State:
        """Return the state after some blocks; learns what is new.

        Args:
            study: The study, with whose artifacts states are cached.
            blocks: All closed blocks.
        """
        n_learned, state = self._newest(study, blocks)
        for i in range(n_learned, len(blocks)):
            state = self._update(state, blocks[: i + 1])
            self._keep(self._key(blocks[i]), state)
            if self._cache is not None and (i + 1) % self._cache.every == 0:
                self._cache.save(study, self._key(blocks[i]), state)
        return state

    def _update(self, state: State, blocks: Sequence[Block]) -> State:
        # Whatever the caller has switched off, e.g. around an evaluation.
        with torch.inference_mode(False), torch.enable_grad():
            return self._agent.update(state, blocks)

    def _newest(self, study: Study, blocks: Sequence[Block]) -> tuple[int, State]:
        for i in reversed(range(len(blocks))):
            key = self._key(blocks[i])
            if key in self._states:
                self._states.move_to_end(key)
                return i + 1, self._states[key]
        if self._cache is not None and blocks:
            found = self._cache.load(study, [self._key(block) for block in blocks])
            if found is not None:
                return found[0] + 1, found[1]
        return 0, self._initial

    def _keep(self, key: str, state: State) -> None:
        self._states[key] = state
        while len(self._states) > _MAX_STATES:
            self._states.popitem(last=False)

    def _key(self, block: Block) -> str:
        return hashlib.sha256(f"{self._origin}|{block.digest}".encode()).hexdigest()
