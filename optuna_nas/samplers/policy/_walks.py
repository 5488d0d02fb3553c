"""Ways through the decisions of a trial: all at once with a domain, or as the objective asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Protocol

import numpy as np
from optuna.distributions import BaseDistribution

from optuna_nas.samplers.core import Params
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.samplers.policy._decisions import Decision


class Steps(Protocol):
    """Walks through the decisions of some architectures at once."""

    def step(
        self,
        decision: Decision,
        rng: np.random.Generator,
        *,
        members: np.ndarray | slice = ...,
        given: float | None = ...,
        allowed: np.ndarray | None = ...,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make one decision.

        Args:
            decision: The decision.
            rng: Random generator.
            members: Indices of the architectures for which the decision is active.
            given: If given, the position is not drawn.
            allowed: If given, booleans of shape ``(n_choices,)``: what may be drawn.

        Returns:
            The positions and their log-probabilities, each of shape ``(len(members),)``; the
            probabilities are the policy's, also where ``allowed`` excludes something, and NaN
            where it has none.
        """
        ...


def walk_through(
    steps: Steps, n: int, domain: TrialDomain, rng: np.random.Generator
) -> list[tuple[Params, dict[str, float]]]:
    """Make all decisions of ``n`` architectures.

    Args:
        steps: A walk of ``n`` architectures that has just started.
        n: Number of architectures.
        domain: The parameters, their order and their conditions.
        rng: Random generator.

    Returns:
        For each architecture the parameters, and their log-probabilities.
    """
    params: list[Params] = [{} for _ in range(n)]
    log_probs: list[dict[str, float]] = [{} for _ in range(n)]
    for name in domain.names:
        active = [i for i in range(n) if domain.is_active(name, params[i])]
        distribution = domain.distribution(name)
        if not active or distribution is None:
            continue
        decision = Decision(name, distribution)
        given = decision.position(domain.fixed[name]) if name in domain.fixed else None
        members = np.array(active) if len(active) < n else slice(None)
        positions, logs = steps.step(decision, rng, members=members, given=given)
        for i, position, log_prob in zip(active, positions, logs, strict=True):
            value = decision.value(position) if given is None else domain.fixed[name]
            params[i][name] = value
            log_probs[i][name] = float(log_prob)
    return list(zip(params, log_probs, strict=True))


class OpenWalk:
    """A walk through one architecture whose decisions are known only when they are asked for.

    Args:
        steps: A walk of one architecture that has just started.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.made: list[tuple[Decision, float]] = []
        self.params: Params = {}
        self.log_probs: dict[str, float] = {}

    def agrees_with(self, params: Mapping[str, Any]) -> bool:
        """Tell whether all decisions made so far are those of ``params``."""
        return self.params.items() <= params.items()

    def follow(
        self,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        rng: np.random.Generator,
    ) -> None:
        """Make the decisions that were made elsewhere, in the order of ``params``."""
        for name, value in params.items():
            if name not in self.params:
                decision = Decision(name, distributions[name])
                self._take(decision, rng, given=decision.position(value))
                self.params[name] = value

    def take(
        self, decision: Decision, rng: np.random.Generator, allowed: np.ndarray | None
    ) -> Any:
        """Make one decision and return its value.

        Args:
            decision: The decision.
            rng: Random generator.
            allowed: What may be drawn, booleans of shape ``(n_choices,)``.
        """
        position = self._take(decision, rng, allowed=allowed)
        value = self.params[decision.name] = decision.value(position)
        return value

    def _take(
        self,
        decision: Decision,
        rng: np.random.Generator,
        *,
        given: float | None = None,
        allowed: np.ndarray | None = None,
    ) -> float:
        positions, log_probs = self._steps.step(decision, rng, given=given, allowed=allowed)
        self.made.append((decision, float(positions[0])))
        self.log_probs[decision.name] = float(log_probs[0])
        return float(positions[0])
