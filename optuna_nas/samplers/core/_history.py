"""What a sampler knows of a study: its finished trials by number, and what is taken."""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
import hashlib
import itertools
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas import _compat
from optuna_nas.samplers.core import _values
from optuna_nas.samplers.core._asked import CLAIM
from optuna_nas.samplers.core._asked import Endings
from optuna_nas.samplers.core._asked import Key
from optuna_nas.samplers.core._asked import OtherNames
from optuna_nas.spaces import SearchSpace


Params = dict[str, Any]
"""Parameters of a trial by name."""


@dataclass(frozen=True, eq=False)
class Individual:
    """A completed trial, or a pruned one that breaks a constraint, as the strategies see it.

    Args:
        number: Trial number.
        params: Parameters by name; with a space, those of a member and any further ones.
        losses: One value per objective, all to be minimised; no NaN, infinity allowed. Those of a
            pruned trial are infinite.
        violation: Sum of the positive constraint values; 0 for a feasible trial.
        key: Equal for trials that need not be evaluated twice.
        constraints: Constraint values by name; above 0 is a violation.
    """

    number: int
    params: Params
    losses: tuple[float, ...]
    violation: float
    key: Hashable
    constraints: Mapping[str, float] = field(default_factory=dict)


class History:
    """The trials of one study, read incrementally: each finished trial is looked at once.

    It is a function of the trials alone, whatever the order in which they finished. COMPLETE
    trials become individuals, enqueued and added ones included. So do PRUNED trials that break a
    constraint, which rank by how far; other PRUNED and unfinished trials only take their keys:
    what they measured cannot be compared. FAIL trials, and completed ones with NaN, are left out,
    so that their architectures may be tried again.

    With a space, a parameter outside it that no trial of ours asked for is foreign: it came with a
    trial that was added, and is neither proposed nor part of a key. It is a parameter like others
    as long as no trial of ours has finished.

    Args:
        directions: Directions of the study.
        space: If given, trials that are not of this space are left out and keys are canonical.
    """

    def __init__(self, directions: Sequence[StudyDirection], space: SearchSpace | None) -> None:
        self._signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
        self._space = space
        self._decisions = frozenset(space.distributions) if space is not None else frozenset()
        self._unread: list[int] = []
        self._n_read = 0
        self.read_for: int | None = None
        # Trials that started before the current one and whose architecture is not chosen yet.
        self.n_undecided = 0
        # Whether another trial is running.
        self.has_company = False
        self.trials: Sequence[FrozenTrial] = ()
        # Numbers of the unfinished trials but the current one.
        self.pending: frozenset[int] = frozenset()
        self._others = OtherNames(self._decisions)
        self._endings = Endings()
        self._finished_keys: set[Hashable] = set()
        self._pending_keys: set[Hashable] = set()
        self._claims: set[str] = set()
        self.individuals: list[Individual] = []
        # The same in the order in which they were read; nothing is ever inserted before the end.
        self.arrivals: list[Individual] = []
        # Numbers of all finished trials in the order in which they were read.
        self.finished: list[int] = []
        self.n_failed = 0
        self.n_pruned_infeasible = 0
        # Keys of the individuals, with the number of the first.
        self.first_numbers: dict[Hashable, int] = {}
        # The same of trials that are not individuals: failed, pruned, or not a number.
        self.unusable: dict[Hashable, int] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    @classmethod
    def of(cls, study: Study, space: SearchSpace | None) -> History:
        """Return the history of a study as it stands, with no trial that is being sampled."""
        history = cls(study.directions, space)
        trials = _compat.in_number_order(study.get_trials(deepcopy=False))
        history.update(trials, current=-1)
        return history

    @property
    def n_objectives(self) -> int:
        """Number of objectives of the study."""
        return len(self._signs)

    def is_continued_by(self, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether ``trials`` add to what was read and change nothing about it."""
        n = self._n_read
        if n and (len(trials) < n or trials[n - 1].number != self.trials[n - 1].number):
            return False  # Another part of the study, as pruners show it.
        others = self._others
        later = others.after(self._unseen(trials))
        return self._space is None or not others.seen & (others.foreign ^ later.foreign)

    def update(self, trials: Sequence[FrozenTrial], *, current: int) -> None:
        """Read what is new.

        Args:
            trials: All trials of the study, sorted by number, that continue what was read.
            current: Number of the trial that is being sampled, which takes no key.
        """
        self.read_for = current
        new, self._unread = self._unseen(trials), self._unfinished(trials)
        self._n_read, self.trials = len(trials), trials
        if self._space is not None:
            self._others = self._others.after(new)
        for trial in new:
            self._add(trial)
        others = [trials[i] for i in self._unread if trials[i].number != current]
        self.pending = frozenset(trial.number for trial in others)
        self.has_company = any(trial.state == TrialState.RUNNING for trial in others)
        claims = [(trial, trial.system_attrs.get(CLAIM)) for trial in others]
        self._claims = {claim for _, claim in claims if claim}
        self.n_undecided = 0
        self._pending_keys = set()
        for trial, claim in claims:
            key = self.key(self._given(trial))
            if key is not None:
                self._pending_keys.add(key)
            elif not claim and trial.state == TrialState.RUNNING and trial.number < current:
                self.n_undecided += 1

    def _positions(self, trials: Sequence[FrozenTrial]) -> list[int]:
        return [*self._unread, *range(self._n_read, len(trials))]

    def _unseen(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        return [trials[i] for i in self._positions(trials) if trials[i].state.is_finished()]

    def _unfinished(self, trials: Sequence[FrozenTrial]) -> list[int]:
        return [i for i in self._positions(trials) if not trials[i].state.is_finished()]

    def _given(self, trial: FrozenTrial) -> Params:
        """Return the parameters of an unfinished trial, and those that it is going to have."""
        fixed = _compat.fixed_params(trial)
        if self._space is not None:  # An objective may not ask for the others.
            known = (self._decisions, self.distributions)
            fixed = {k: v for k, v in fixed.items() if any(k in names for names in known)}
        return {**fixed, **trial.params}

    def _add(self, trial: FrozenTrial) -> None:
        self.finished.append(trial.number)
        self.n_failed += trial.state == TrialState.FAIL
        key = self.key(trial.params)
        if key is None:
            return
        individual = self._individual(trial, key)
        first = self.unusable if individual is None else self.first_numbers
        first[key] = min(trial.number, first.get(key, trial.number))
        if trial.state == TrialState.FAIL:
            return
        for name, distribution in trial.distributions.items():
            if name not in self._others.foreign:
                self.distributions[name] = distribution
        self._finished_keys.add(key)
        has_ended = individual is not None and CLAIM in trial.system_attrs
        self._endings.add(key, sampled=has_ended)
        if individual is not None:
            self.arrivals.append(individual)
            insort(self.individuals, individual, key=lambda individual: individual.number)

    def _individual(self, trial: FrozenTrial, key: Key) -> Individual | None:
        constraints = trial.constraints
        violation = violation_of(trial)
        if trial.state == TrialState.COMPLETE and not any(map(math.isnan, trial.values)):
            losses = tuple(sign * v for sign, v in zip(self._signs, trial.values, strict=True))
        elif trial.state == TrialState.PRUNED and violation > 0:
            losses = (math.inf,) * self.n_objectives
            self.n_pruned_infeasible += 1
        else:
            return None
        return Individual(trial.number, trial.params, losses, violation, key, constraints)

    def key(self, params: Mapping[str, Any]) -> Key | None:
        """Return the key of parameters, or :obj:`None` if they are not of the space.

        With a space it is the canonical key of the architecture together with the parameters that
        do not belong to it; without, the parameters themselves.
        """
        if self._space is None:
            return None, _frozen(params)
        try:
            architecture = self._space.architecture(params)
        except ValueError:
            return None
        excluded = self._decisions, self._others.foreign
        others = {k: v for k, v in params.items() if not any(k in names for names in excluded)}
        return self._space.canonical_key(architecture), _frozen(others)

    def is_taken(self, params: Mapping[str, Any], key: Key | None = None) -> bool:
        """Tell whether a completed, pruned or unfinished trial has the key of ``params``.

        So does an unfinished trial that only claims it yet.

        Args:
            params: Parameters of a proposal, which may hold parameters that the objective would
                not ask for; see :class:`~optuna_nas.samplers.core._asked.Endings`.
            key: Their key, where it is known already.
        """
        key = self.key(params) if key is None else key
        if key is None:
            return False
        if self._claims and self.claim(key) in self._claims:
            return True
        return any(
            found in self._finished_keys or found in self._pending_keys
            for found in itertools.chain([key], self._endings.parts(key))
        )

    def claim(self, key: Key) -> str:
        """Return a text that is equal for proposals of one key, in every process."""
        text = repr((key[0], sorted(key[1])))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def violation_of(trial: FrozenTrial) -> float:
    """Return the sum of the positive constraint values of a trial; 0 if it is feasible."""
    return float(sum(max(value, 0.0) for value in trial.constraints.values()))


def _frozen(params: Mapping[str, Any]) -> frozenset[tuple[str, Hashable]]:
    return frozenset((name, _values.hashable(value)) for name, value in params.items())


def losses_of(individuals: Sequence[Individual]) -> np.ndarray:
    """Return the losses of shape ``(n, n_objectives)``."""
    return np.array([individual.losses for individual in individuals], dtype=float)
