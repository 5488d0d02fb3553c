"""The thin class around every strategy: it reads the study, asks the strategy, and checks."""

from __future__ import annotations

import abc
from collections.abc import Sequence
import threading
from typing import Any
import warnings
import weakref
import zlib

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas import _compat
from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.core import _values
from optuna_nas.samplers.core._acceptance import Acceptance
from optuna_nas.samplers.core._asked import CLAIM
from optuna_nas.samplers.core._domain import TrialDomain
from optuna_nas.samplers.core._feasibility import Feasibility
from optuna_nas.samplers.core._histories import Histories
from optuna_nas.samplers.core._history import History
from optuna_nas.samplers.core._history import Params
from optuna_nas.spaces import SearchSpace


_MAX_CLAIMS = 5
"""How often a proposal gives way to an equal one of another process."""


class ArchitectureSampler(BaseSampler):
    """Base class of the samplers of this package.

    A subclass implements :meth:`propose`, a function of the study's history, the domain and a
    random generator. This class reads the history incrementally, seeds the generator, keeps to
    enqueued parameters, and replaces proposals that are taken.

    The generator of a trial is made from the seed and the trial's number. So a restarted process
    continues as if it had not stopped, and processes with equal seeds draw different numbers.
    Before it is suggested, a proposal is noted on the trial, so that workers do not propose the
    same at the same moment.

    Args:
        seed: Seed of the random numbers; :obj:`None` draws one.
        space: Search space. With it, conditions are kept, duplicates are recognised by canonical
            key, and random architectures are uniform over architectures.
        prior: Probabilities of the choices, as the supernet stage leaves them.
        constraints: Proposals keep those that can be checked without training. If none is found
            that does, a warning says so once and the least violating one is proposed.

    Raises:
        ValueError: If ``seed`` is negative, ``prior`` belongs to another space, or a constraint
            needs a space and there is none.
    """

    _max_tries = 50
    _max_feasible_tries = 500
    _foresees = False
    """See :class:`Acceptance`."""

    def __init__(
        self,
        *,
        seed: int | None = None,
        space: SearchSpace | None = None,
        prior: Prior | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        if seed is not None and seed < 0:
            raise ValueError(f"Expected argument `seed` to be at least 0 but got {seed}.")
        if prior is not None and space is not None:
            prior.require_fit(space)
        self._seed = seed
        self._space = space
        self._prior = prior
        self._feasibility = Feasibility(space, constraints)
        self._warned_infeasible = False
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._histories = Histories(self._space)
        self._acceptances: weakref.WeakKeyDictionary[History, Acceptance] = (
            weakref.WeakKeyDictionary()
        )
        self._warned_exhausted: weakref.WeakSet[Study] = weakref.WeakSet()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_lock", "_histories", "_acceptances", "_warned_exhausted"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def reseed_rng(self) -> None:
        """Continue with a fresh seed from the operating system."""
        self._seed = None

    @abc.abstractmethod
    def propose(self, history: History, domain: TrialDomain, rng: np.random.Generator) -> Params:
        """Propose the parameters of the next trial.

        Args:
            history: The study's trials.
            domain: The parameters to propose, and how to draw and complete them.
            rng: Random generator of this trial.

        Returns:
            A value for every active parameter of ``domain``. If it is taken, the caller asks
            :meth:`vary` for another.
        """

    def propose_pool(
        self,
        study: Study,
        trial: FrozenTrial,
        domain: TrialDomain,
        rng: np.random.Generator,
        n: int,
    ) -> list[Params]:
        """Propose up to ``n`` alternatives for a trial, among which another criterion chooses.

        Args:
            study: The study.
            trial: The trial.
            domain: The parameters to propose.
            rng: Random generator of this trial.
            n: Largest number of proposals; some may be equal or taken.
        """
        with self._lock:
            return self._pool(self._read(study, trial), domain, rng, n)

    def _pool(
        self, history: History, domain: TrialDomain, rng: np.random.Generator, n: int
    ) -> list[Params]:
        return [self.propose(history, domain, rng) for _ in range(n)]

    def vary(
        self, params: Params, history: History, domain: TrialDomain, rng: np.random.Generator
    ) -> Params:
        """Change a proposal that is taken; by default one parameter is drawn anew."""
        return domain.mutate_one(params, rng)

    # Optuna's interface.

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the decisions of the space and all parameters seen in the study."""
        with self._lock:
            return self._domain(self._read(study, trial)).distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the proposal for a trial."""
        if not search_space:
            _compat.set_trial_system_attr(study, trial, CLAIM, "")
            return {}
        with self._lock:
            params = self._proposal(study, trial, search_space)
        return {name: value for name, value in params.items() if name in search_space}

    def _proposal(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """Return the parameters of a trial, with those that somebody else has fixed."""
        history = self._read(study, trial)
        fixed = {**_compat.partially_fixed_params(study), **_compat.fixed_params(trial)}
        known = self._domain(history).distributions
        left_out = {name: known[name] for name in fixed if name in known}
        domain = TrialDomain({**left_out, **search_space}, self._space, self._prior, fixed=fixed)
        rng = self._rng(trial)
        params = domain.complete(self.propose(history, domain, rng), rng)
        params = self._acceptable(params, history, domain, rng)
        if self._acceptance(history).is_exhausted(history, domain):
            self._warn_exhausted(study)
        return self._claimed(params, study, trial, domain, rng)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw a parameter that no proposal holds, at random."""
        rng = self._rng(trial, zlib.crc32(param_name.encode()))
        return _values.draw(param_name, param_distribution, rng, self._prior)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do nothing: the state is in the study."""

    # Helpers.

    def _rng(self, trial: FrozenTrial, *extra: int) -> np.random.Generator:
        with self._lock:
            if self._seed is None:
                entropy = np.random.SeedSequence().entropy
                assert isinstance(entropy, int)
                self._seed = entropy
            return np.random.default_rng([self._seed, trial.number, *extra])

    def _read(self, study: Study, trial: FrozenTrial, *, anew: bool = False) -> History:
        return self._histories.read(study, trial, anew=anew)

    def _acceptance(self, history: History) -> Acceptance:
        found = self._acceptances.get(history)
        if found is None:
            n_tries = self._max_feasible_tries if self._feasibility else self._max_tries
            found = self._acceptances[history] = Acceptance(
                self._feasibility, n_tries=n_tries, foresees=self._foresees
            )
        return found

    def _domain(self, history: History) -> TrialDomain:
        distributions = dict(self._space.distributions) if self._space is not None else {}
        for name, distribution in history.distributions.items():
            distributions.setdefault(name, distribution)
        return TrialDomain(distributions, self._space, self._prior)

    def _acceptable(
        self, params: Params, history: History, domain: TrialDomain, rng: np.random.Generator
    ) -> Params:
        """Return ``params``, or what is found in its place if it is taken or infeasible."""
        found = self._acceptance(history).nearest(
            params, history, domain, rng, lambda taken: self.vary(taken, history, domain, rng)
        )
        violation = self._feasibility.violation(found)
        if violation > 0:
            self._warn_infeasible(violation)
        return found

    def _claimed(
        self,
        params: Params,
        study: Study,
        trial: FrozenTrial,
        domain: TrialDomain,
        rng: np.random.Generator,
    ) -> Params:
        """Return ``params`` once no other process proposes the same at this moment.

        Each process writes its claim and then looks for the claims of others. So of two equal
        claims at least the earlier one is seen, and whoever sees one gives way. A process that
        was alone does not look: whoever came after it writes and looks later.
        """
        history = self._read(study, trial)
        for _ in range(_MAX_CLAIMS):
            key = history.key(params)
            if key is None or history.is_taken(params, key):  # Nothing else was found.
                return params
            _compat.set_trial_system_attr(study, trial, CLAIM, history.claim(key))
            if not history.has_company:
                return params
            history = self._read(study, trial, anew=True)
            if not history.is_taken(params):
                return params
            varied = domain.complete(self.vary(params, history, domain, rng), rng)
            params = self._acceptable(varied, history, domain, rng)
        return params

    def _warn_infeasible(self, violation: float) -> None:
        if not self._warned_infeasible:
            self._warned_infeasible = True
            warnings.warn(
                f"{type(self).__name__} found no architecture that keeps the constraints and was "
                f"not evaluated yet within {self._max_feasible_tries} tries; it proposes the "
                f"least violating one (relative violation {violation:.3g}). This is said once.",
                stacklevel=2,
            )

    def _warn_exhausted(self, study: Study) -> None:
        whole, _ = _compat.whole_study(study)
        if whole not in self._warned_exhausted:
            self._warned_exhausted.add(whole)
            warnings.warn(
                f"All that {type(self).__name__} can propose is evaluated or is being evaluated, "
                "so architectures repeat from now on; the callback `StopWhenExhausted` ends a "
                "study instead. This is said once for a study.",
                stacklevel=2,
            )
