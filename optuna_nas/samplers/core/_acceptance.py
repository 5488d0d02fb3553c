"""What is proposed in the place of a proposal that is taken or infeasible."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_nas.samplers.core._domain import TrialDomain
from optuna_nas.samplers.core._feasibility import Feasibility
from optuna_nas.samplers.core._foresight import Foresight
from optuna_nas.samplers.core._history import History
from optuna_nas.samplers.core._history import Params
from optuna_nas.samplers.core._remainder import Remainder


class Acceptance:
    """Replaces the proposals for one study that are taken or infeasible.

    Args:
        feasibility: The constraints that can be checked without training.
        n_tries: Number of proposals to look at in the place of one.
        foresees: Whether proposals also give way to others that look more feasible by what the
            objective has pruned so far.
    """

    def __init__(self, feasibility: Feasibility, *, n_tries: int, foresees: bool) -> None:
        self._feasibility = feasibility
        self._n_tries = n_tries
        self._foresees = foresees
        self._remainder = Remainder()
        self.foresight = Foresight()

    def is_exhausted(self, history: History, domain: TrialDomain) -> bool:
        """Tell whether there is nothing left to propose, as far as that is known."""
        return self._remainder.is_empty(history, domain)

    def nearest(
        self,
        params: Params,
        history: History,
        domain: TrialDomain,
        rng: np.random.Generator,
        vary: Callable[[Params], Params],
    ) -> Params:
        """Return ``params``, or what is found in its place; see :func:`nearest_acceptable`.

        Where everything near is taken, it is anything that is not, and ``params`` if nothing is.
        """
        if self.is_exhausted(history, domain):
            return params
        foreseen = self.foresight.violation(history, domain) if self._foresees else None

        def violation_of(candidate: Params) -> float:
            known = self._feasibility.violation(candidate)
            return known if known > 0 or foreseen is None else foreseen(candidate)

        found = nearest_acceptable(
            params,
            history,
            domain,
            rng,
            violation_of=violation_of,
            vary=vary,
            n_tries=self._n_tries,
        )
        return found or self._remainder.search(history, domain, rng) or params


def nearest_acceptable(
    params: Params,
    history: History,
    domain: TrialDomain,
    rng: np.random.Generator,
    *,
    violation_of: Callable[[Params], float],
    vary: Callable[[Params], Params],
    n_tries: int,
) -> Params | None:
    """Return ``params``, or what is found in its place if it is taken or infeasible.

    Args:
        params: A complete proposal.
        history: The study's trials.
        domain: The parameters.
        rng: Random generator.
        violation_of: Returns how infeasible a proposal is; 0 for a feasible one.
        vary: Changes a proposal, the way of the strategy.
        n_tries: Number of proposals to look at.

    Returns:
        The first that is acceptable, else the least infeasible one that is not taken;
        :obj:`None` if all of them are taken.
    """
    candidate, violation = params, violation_of(params)
    least: tuple[float, Params] | None = None
    for n_tried in range(n_tries):
        if not history.is_taken(candidate):
            if violation == 0:
                return candidate
            if least is None or violation < least[0]:
                least = violation, candidate
        if n_tried < n_tries // 2:
            varied = vary(candidate)
        else:  # By then small steps are the better bet, however the strategy varies.
            if least is not None and n_tried == n_tries // 2:
                violation, candidate = least
            varied = domain.mutate_one(candidate, rng)
        varied = domain.complete(varied, rng)
        varied_violation = violation_of(varied)
        # Downhill towards the feasible; among the feasible, anywhere.
        if varied_violation <= max(violation, 0.0) or rng.random() < 0.1:
            candidate, violation = varied, varied_violation
    return None if least is None else least[1]
