"""The non-dominated individuals of a study, kept up to date one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.samplers.core._history import Individual


class NonDominated:
    """The individuals that no other dominates; infeasible ones only while there are no others.

    The members do not depend on the order in which individuals are added.
    """

    def __init__(self) -> None:
        self._n_added = 0
        self.members: list[Individual] = []
        self._losses = np.empty((0, 0))

    def add(self, arrivals: Sequence[Individual]) -> None:
        """Add what is new at the end of ``arrivals``."""
        for individual in arrivals[self._n_added :]:
            self._add(individual)
        self._n_added = len(arrivals)

    def _add(self, new: Individual) -> None:
        if not self.members:
            self.members, self._losses = [new], np.array([new.losses])
            return
        if new.violation != self.members[0].violation:
            if new.violation < self.members[0].violation:
                self.members, self._losses = [new], np.array([new.losses])
            return
        loss = np.array(new.losses)
        no_worse = np.all(self._losses <= loss, axis=1)
        no_better = np.all(self._losses >= loss, axis=1)
        if np.any(no_worse & ~no_better):
            return
        keep = np.flatnonzero(no_worse | ~no_better)
        self.members = [*(self.members[i] for i in keep), new]
        self._losses = np.vstack([self._losses[keep], loss])
