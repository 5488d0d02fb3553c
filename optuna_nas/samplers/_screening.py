"""Screening: of a pool of proposals of any sampler, the one with the best score is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.core import ArchitectureSampler
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import Params
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.spaces import SearchSpace


_MAX_CACHED = 100_000


class ScreeningSampler(ArchitectureSampler):
    """Sampler that lets another one propose a pool and passes on the best by a score.

    The score is a guess that is cheap compared with an evaluation: a zero-cost proxy
    (:mod:`lightning_modules.proxies`), the value of another data set, or any function. The other
    sampler sees the study as it is, so it learns from what was evaluated alone.

    The first ``n_warm_up`` trials are screened from random architectures, in pools of their own
    size: a first guess that is good (Abdelfattah et al., Zero-cost proxies for lightweight
    NAS, ICLR 2021, section 4.2, which also screens the moves of evolution, section 4.3).

    What is taken, or breaks a constraint that can be checked without training, is replaced before
    it is scored, whatever the other sampler is. Enqueued trials are not screened.

    Example:

        >>> import optuna
        >>> from optuna_nas import CellSpace
        >>> from optuna_nas.samplers import ScreeningSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = CellSpace()
        >>> def n_convolutions(architecture):
        ...     return sum("conv" in choice for choice in architecture.values())
        >>> sampler = ScreeningSampler(
        ...     optuna.samplers.TPESampler(seed=0), n_convolutions, space=space, seed=0
        ... )
        >>> study = optuna.create_study(direction="maximize", sampler=sampler)
        >>> study.optimize(
        ...     lambda trial: list(space.suggest(trial).values()).count("nor_conv_3x3"),
        ...     n_trials=30,
        ... )
        >>> study.best_value >= 4
        True

    Args:
        base_sampler: Any sampler. One of this package should have the same ``space``.
        score: From an architecture to a number, higher for a better guess; without ``space`` from
            the parameters by name. NaN counts as the worst. It is called once for an architecture,
            and should depend on nothing else.
        pool: Number of proposals of which one is passed on, at least 1; 1 screens nothing.
        n_warm_up: Number of first trials that are screened from random architectures.
        warm_up_pool: Size of their pools; by default sixteen times ``pool``.
        seed: Seed of the random numbers; ``base_sampler`` has its own.
        space: Search space; see :class:`ArchitectureSampler`.
        prior: Probabilities from which the architectures of the warm-up are drawn.
        constraints: Constraints that proposals keep if they can be checked without training.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        base_sampler: BaseSampler,
        score: Callable[[Any], float],
        *,
        pool: int = 16,
        n_warm_up: int = 3,
        warm_up_pool: int | None = None,
        seed: int | None = None,
        space: SearchSpace | None = None,
        prior: Prior | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        warm_up_pool = 16 * pool if warm_up_pool is None else warm_up_pool
        for name, value, least in [
            ("pool", pool, 1),
            ("n_warm_up", n_warm_up, 0),
            ("warm_up_pool", warm_up_pool, 1),
        ]:
            if value < least:
                raise ValueError(
                    f"Expected argument `{name}` to be at least {least} but got {value}."
                )
        if not isinstance(base_sampler, BaseSampler):
            raise ValueError(
                f"Expected argument `base_sampler` to be an Optuna sampler but got {base_sampler}."
            )
        self._base_sampler = base_sampler
        self._score = score
        self._pool_size = pool
        self._n_warm_up = n_warm_up
        self._warm_up_pool = warm_up_pool
        super().__init__(seed=seed, space=space, prior=prior, constraints=constraints)

    def _reset(self) -> None:
        super()._reset()
        self._scores: dict[Hashable, float] = {}
        self._current: tuple[Study, FrozenTrial] | None = None

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        del state["_scores"], state["_current"]
        return state

    def reseed_rng(self) -> None:
        """Continue with fresh seeds, also in the other sampler."""
        super().reseed_rng()
        self._base_sampler.reseed_rng()

    def propose(self, history: History, domain: TrialDomain, rng: np.random.Generator) -> Params:
        """Propose the best of a pool."""
        pool: dict[Hashable, Params] = {}
        for drawn in self._draw(history, domain, rng):
            params = self._acceptable(domain.complete(drawn, rng), history, domain, rng)
            pool.setdefault(history.key(params), params)
        return max(pool.items(), key=lambda item: self._score_of(*item))[1]

    def _draw(
        self, history: History, domain: TrialDomain, rng: np.random.Generator
    ) -> Iterator[Params]:
        assert self._current is not None
        study, trial = self._current
        if trial.number < self._n_warm_up:
            for _ in range(self._warm_up_pool):
                yield domain.sample(rng)
        elif isinstance(self._base_sampler, ArchitectureSampler):
            yield from self._base_sampler.propose_pool(study, trial, domain, rng, self._pool_size)
        else:
            for _ in range(self._pool_size):
                yield self._draw_one(study, trial, domain)

    def _draw_one(self, study: Study, trial: FrozenTrial, domain: TrialDomain) -> Params:
        """Let a sampler that proposes one architecture at a time make all decisions."""
        base = self._base_sampler
        relative = base.infer_relative_search_space(study, trial)
        given = {**base.sample_relative(study, trial, relative), **domain.fixed}
        params: Params = {}
        for name in domain.names:
            if not domain.is_active(name, params):
                continue
            distribution = domain.distribution(name)
            if name in given:
                params[name] = given[name]
            elif distribution is not None:
                params[name] = base.sample_independent(study, trial, name, distribution)
        return params

    def _score_of(self, key: Hashable, params: Mapping[str, Any]) -> float:
        if key not in self._scores:
            member = params if self._space is None else self._space.architecture(params)
            score = float(self._score(member))
            if len(self._scores) >= _MAX_CACHED:
                self._scores.clear()
            self._scores[key] = -math.inf if math.isnan(score) else score
        return self._scores[key]

    # Optuna's interface: everything else is the other sampler's.

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the proposal for a trial."""
        with self._lock:
            self._current = study, trial
            try:
                return super().sample_relative(study, trial, search_space)
            finally:
                self._current = None

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Let the other sampler draw a parameter that no proposal holds."""
        with self._lock:
            return self._base_sampler.sample_independent(
                study, trial, param_name, param_distribution
            )

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tell the other sampler."""
        with self._lock:
            self._base_sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Tell the other sampler."""
        with self._lock:
            self._base_sampler.after_trial(study, trial, state, values)
