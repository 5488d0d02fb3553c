"""The contract of a learning algorithm: from a state and a block of trials to the next state."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar

from optuna_nas.samplers.policy._replay import Block
from optuna_nas.samplers.policy._state import PolicyState
from optuna_nas.samplers.policy._walks import Steps


class Agent(abc.ABC):
    """A learning algorithm with its settings; it holds nothing that is learned."""

    uses_log_probs: ClassVar[bool] = False
    """Whether it learns from the log-probability at which a choice was proposed."""

    @abc.abstractmethod
    def initial(self) -> PolicyState:
        """Return the state before the first block."""

    @abc.abstractmethod
    def update(self, state: PolicyState, blocks: Sequence[Block]) -> PolicyState:
        """Learn the last block of ``blocks``; the others were learned before."""

    @abc.abstractmethod
    def walk(self, state: PolicyState, n: int) -> Steps:
        """Start to walk through ``n`` architectures."""

    @abc.abstractmethod
    def restarted(self, state: PolicyState) -> PolicyState:
        """Return the weights of a state without what belongs to the study of its trials."""
