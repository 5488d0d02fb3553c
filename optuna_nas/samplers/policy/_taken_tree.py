"""Which sequences of choices were tried, for studies without a search space."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas.samplers.core._asked import CLAIM
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._decisions import Walked


_Step = tuple[str, float]


class _Node:
    """What comes after one sequence of choices."""

    def __init__(self) -> None:
        self.children: dict[_Step, _Node] = {}
        self.exhausted: set[_Step] = set()
        self.n_choices = 0  # Of the next decision; 0 if it is continuous or there is none.
        self.is_leaf = False  # Whether a trial had no decision after this sequence.

    @property
    def is_done(self) -> bool:
        """Whether nothing new can follow; a trial that went on refutes one that did not."""
        return (self.is_leaf and not self.children) or (0 < self.n_choices == len(self.exhausted))


class TakenTree:
    """The choices of the trials as a tree, in the order in which the objective asked for them.

    It assumes that the same choices lead to the same next question. A choice is exhausted if
    everything that can follow it was tried. Completed, pruned and running trials count, failed
    ones do not. Continuous decisions are never exhausted. A trial that was added may lack what the
    objective asks for, so it counts from the first trial of ours on that asked for the same names.

    Args:
        walked: Returns the decisions of a trial in order.
    """

    def __init__(self, walked: Callable[[FrozenTrial], Walked]) -> None:
        self._walked = walked
        self._root = _Node()
        self._asked: set[frozenset[str]] = set()
        self._doubted: dict[frozenset[str], list[Walked]] = {}
        self._n_read = 0
        self._pending: list[int] = []
        self._running: list[tuple[_Step, ...]] = []

    def update(self, trials: Sequence[FrozenTrial], *, current: int) -> None:
        """Read what is new.

        Args:
            trials: All trials of the study, sorted by number.
            current: Number of the trial that is being sampled.
        """
        positions = [*self._pending, *range(self._n_read, len(trials))]
        self._n_read, self._pending, self._running = len(trials), [], []
        for position in positions:
            trial = trials[position]
            if trial.state == TrialState.FAIL:
                continue
            if not trial.state.is_finished():
                self._pending.append(position)
                if trial.number != current and trial.params:
                    self._running.append(_steps(self._walked(trial)))
            elif trial.params:
                self._finish(trial)

    def _finish(self, trial: FrozenTrial) -> None:
        names = frozenset(trial.params)
        self._doubted.setdefault(names, []).append(self._walked(trial))
        if CLAIM in trial.system_attrs:
            self._asked.add(names)
        if names in self._asked:
            for walked in self._doubted.pop(names):
                self._insert(walked)

    def _insert(self, walked: Walked) -> None:
        path = [self._root]
        for decision, position in walked:
            path[-1].n_choices = decision.n_choices or 0
            path.append(path[-1].children.setdefault((decision.key, position), _Node()))
        path[-1].is_leaf = True
        for parent, node, step in zip(
            path[-2::-1], path[:0:-1], reversed(_steps(walked)), strict=True
        ):
            if node.is_done and parent.n_choices:
                parent.exhausted.add(step)
            else:
                parent.exhausted.discard(step)

    def allowed(self, prefix: Walked, decision: Decision) -> np.ndarray | None:
        """Return which choices lead to something new.

        Args:
            prefix: The choices so far.
            decision: The next decision.

        Returns:
            Booleans of shape ``(n_choices,)``; :obj:`None` if there is no restriction, also where
            everything was tried.
        """
        before = _steps(prefix)
        node: _Node | None = self._root
        for step in before:
            node = node.children.get(step) if node is not None else None
        taken = set(node.exhausted) if node is not None else set()
        # A running trial may be about to ask for more, unless trials are known to end here.
        last = node is not None and any(child.is_done for child in node.children.values())
        if last:
            n = len(before)
            taken |= {s[n] for s in self._running if len(s) == n + 1 and s[:n] == before}
        allowed = np.array(
            [(decision.key, float(i)) not in taken for i in range(decision.n_choices)]
        )
        return allowed if taken and allowed.any() else None


def _steps(walked: Walked) -> tuple[_Step, ...]:
    return tuple((decision.key, position) for decision, position in walked)
