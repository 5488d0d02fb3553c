"""What a sampler knows of a study: its finished trials by number, and what is taken."""

from __future__ import annotations

from bisect import bisect_left
from bisect import insort
from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import hashlib
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas import _compat
from optuna_nas.samplers import _values
from optuna_nas.search_space import SearchSpace


CLAIM = "optuna_nas:claim"
"""Trial system attribute: what a running trial is about to suggest; see :meth:`History.claim`."""

Params = dict[str, Any]
"""Parameters of a trial by name."""


@dataclass(frozen=True, eq=False)
class Individual:
    """A completed trial as the strategies see it.

    Args:
        number: Trial number.
        params: Parameters by name; with a space, those of a member and any further ones.
        losses: One value per objective, all to be minimised; no NaN, infinity allowed.
        violation: Sum of the positive constraint values; 0 for a feasible trial.
        key: Equal for trials that need not be evaluated twice.
    """

    number: int
    params: Params
    losses: tuple[float, ...]
    violation: float
    key: Hashable


class History:
    """The trials of one study, read incrementally: each finished trial is looked at once.

    It is a function of the trials alone, whatever the order in which they finished. COMPLETE
    trials become individuals, enqueued and added ones included. PRUNED and unfinished trials only
    take their keys: what they measured cannot be compared. FAIL trials, and completed ones with
    NaN, are left out, so that their architectures may be tried again.

    Args:
        directions: Directions of the study.
        space: If given, trials that are not of this space are left out and keys are canonical.
    """

    def __init__(self, directions: Sequence[StudyDirection], space: SearchSpace | None) -> None:
        self._signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
        self._space = space
        self._decisions = frozenset(space.distributions) if space is not None else frozenset()
        self._pending: list[int] = []
        self._n_read = 0
        self.read_for: int | None = None
        # Trials that started before the current one and whose architecture is not chosen yet.
        self.n_undecided = 0
        # Whether another trial is running.
        self.has_company = False
        self.trials: Sequence[FrozenTrial] = ()
        self._finished_keys: set[Hashable] = set()
        self._pending_keys: set[Hashable] = set()
        self._claims: set[str] = set()
        self._patterns: set[frozenset[str]] = set()
        self.individuals: list[Individual] = []
        # The same in the order in which they were read; nothing is ever inserted before the end.
        self.arrivals: list[Individual] = []
        # Keys of trials that are not individuals: failed, pruned, or not a number.
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

    def update(self, trials: Sequence[FrozenTrial], *, current: int) -> None:
        """Read what is new.

        Args:
            trials: All trials of the study, sorted by number.
            current: Number of the trial that is being sampled, which takes no key.
        """
        self.read_for = current
        self.n_undecided = 0
        self.has_company = False
        self.trials = trials
        positions = [*self._pending, *range(self._n_read, len(trials))]
        self._n_read = len(trials)
        self._pending = []
        self._pending_keys = set()
        self._claims = set()
        for position in positions:
            trial = trials[position]
            if trial.state.is_finished():
                self._add(trial)
                continue
            self._pending.append(position)
            key = self.key({**_compat.fixed_params(trial), **trial.params})
            if trial.number == current:
                continue
            self.has_company |= trial.state == TrialState.RUNNING
            claim = trial.system_attrs.get(CLAIM)
            if claim is not None:
                self._claims.add(claim)
            if key is not None:
                self._pending_keys.add(key)
            elif claim is None and trial.state == TrialState.RUNNING and trial.number < current:
                self.n_undecided += 1

    def _add(self, trial: FrozenTrial) -> None:
        key = self.key(trial.params)
        if key is None:
            return
        usable = trial.state == TrialState.COMPLETE and not any(map(math.isnan, trial.values))
        if not usable:
            self.unusable[key] = min(trial.number, self.unusable.get(key, trial.number))
        if trial.state == TrialState.FAIL:
            return
        self.distributions.update(trial.distributions)
        self._finished_keys.add(key)
        if self._space is None:
            self._patterns.add(frozenset(trial.params))
        if not usable:
            return
        losses = tuple(sign * v for sign, v in zip(self._signs, trial.values, strict=True))
        violation = float(sum(max(v, 0.0) for v in trial.constraints.values()))
        individual = Individual(trial.number, trial.params, losses, violation, key)
        self.arrivals.append(individual)
        insort(self.individuals, individual, key=lambda individual: individual.number)

    def key(self, params: Mapping[str, Any]) -> Hashable | None:
        """Return the key of parameters, or :obj:`None` if they are not of the space.

        With a space it is the canonical key of the architecture together with the parameters that
        do not belong to it; without, the parameters themselves.
        """
        if self._space is None:
            return _frozen(params)
        try:
            architecture = self._space.architecture(params)
        except ValueError:
            return None
        others = _frozen({k: v for k, v in params.items() if k not in self._decisions})
        return self._space.canonical_key(architecture), others

    def is_taken(self, params: Mapping[str, Any], key: Hashable | None = None) -> bool:
        """Tell whether a completed, pruned or unfinished trial has the key of ``params``.

        So does an unfinished trial that only claims it yet.

        Args:
            params: Parameters of a proposal.
            key: Their key, where it is known already.

        Without a space, ``params`` may hold parameters that the objective would not ask for: it is
        taken if it agrees with all parameters of such a trial.
        """
        if self._claims and self.claim(params, key) in self._claims:
            return True
        if self._space is None:
            for pattern in self._patterns:
                part = _frozen({name: params[name] for name in pattern if name in params})
                if len(part) == len(pattern) and part in self._finished_keys:
                    return True
            return any(_frozen(params) >= part for part in self._pending_params())
        key = self.key(params) if key is None else key
        return key in self._finished_keys or key in self._pending_keys

    def claim(self, params: Mapping[str, Any], key: Hashable | None = None) -> str:
        """Return a text that is equal for proposals of one key, in every process."""
        if self._space is None:
            text = repr(sorted(params.items()))
        else:
            found: Any = self.key(params) if key is None else key
            canonical, others = found
            text = repr((canonical, sorted(others)))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def _pending_params(self) -> list[frozenset[Any]]:
        return [key for key in self._pending_keys if isinstance(key, frozenset) and key]

    @property
    def n_settled(self) -> int:
        """How many individuals, counted from the first, no trial can come before any more."""
        if not self._pending:
            return len(self.individuals)
        first = min(self.trials[position].number for position in self._pending)
        return bisect_left(self.individuals, first, key=lambda individual: individual.number)

    @property
    def n_taken(self) -> int:
        """Number of different keys that are taken."""
        return len(self._finished_keys | self._pending_keys)


def _frozen(params: Mapping[str, Any]) -> frozenset[tuple[str, Hashable]]:
    return frozenset((name, _values.hashable(value)) for name, value in params.items())


def losses_of(individuals: Sequence[Individual]) -> np.ndarray:
    """Return the losses of shape ``(n, n_objectives)``."""
    return np.array([individual.losses for individual in individuals], dtype=float)
