"""The trials of a study as a controller learns from them: closed blocks of trial numbers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import hashlib
import json
import math
from typing import Any

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas.samplers.core._history import violation_of
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._decisions import Walked
from optuna_nas.samplers.policy._rewards import Outcomes
from optuna_nas.samplers.policy._rewards import penalties
from optuna_nas.samplers.policy._settings import ControllerSettings
from optuna_nas.spaces import SearchSpace


SKIPPED = "optuna_nas:skipped"
"""Trial system attribute: the trial did not finish in time, and no controller learns from it."""
LOG_PROBS = "optuna_nas:log_probs"
"""Trial system attribute: log-probability of each parameter under the policy that proposed it."""


@dataclass(frozen=True)
class Episode:
    """What is learned from one trial.

    Args:
        walked: Its decisions in order, with their positions.
        log_probs: Their log-probabilities when they were proposed; NaN where nobody knows.
        reward: The reward.
    """

    walked: Walked
    log_probs: tuple[float, ...]
    reward: float


@dataclass(frozen=True)
class Block:
    """A closed block of trials.

    Args:
        episodes: Its trials by number, those from which nothing is learned left out.
        digest: Hash of this block and all before it: equal digests mean equal histories.
    """

    episodes: tuple[Episode, ...]
    digest: str


class Replay:
    """Cuts the trials of one study into blocks, incrementally; a function of the trials alone.

    A block is closed when all its trials are finished, or were marked as skipped by some process,
    and all blocks before it are closed.

    Args:
        settings: How trials become blocks.
        directions: Directions of the study.
        space: If given, trials that are not of this space are left out.
    """

    def __init__(
        self,
        settings: ControllerSettings,
        directions: Sequence[StudyDirection],
        space: SearchSpace | None,
    ) -> None:
        self._settings = settings
        self._maximize = np.array([d == StudyDirection.MAXIMIZE for d in directions])
        self._space = space
        self._decisions: dict[tuple[str, str], Decision] = {}
        self._values: list[list[float]] = []
        self._violations: list[float] = []
        self.blocks: list[Block] = []

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Close the blocks that can be closed.

        Args:
            trials: All trials of the study, sorted by number.
        """
        size = self._settings.block_size
        while True:
            start = len(self.blocks) * size
            members = trials[start : start + size]
            if len(members) < size or not all(map(_is_settled, members)):
                return
            self.blocks.append(self._block(members))

    def stalled(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the unfinished trials for which enough later ones have finished."""
        stalled = []
        n_later = 0
        start = len(self.blocks) * self._settings.block_size
        for trial in reversed(trials[start:]):
            if trial.state.is_finished():
                n_later += 1
            elif n_later >= self._settings.patience and SKIPPED not in trial.system_attrs:
                stalled.append(trial)
        return stalled

    def _block(self, trials: Sequence[FrozenTrial]) -> Block:
        found = [(trial, self.walked(trial)) for trial in trials if self._is_learned(trial)]
        known = [(trial, walked) for trial, walked in found if walked]
        rewards = self._rewards_of([trial for trial, _ in known])
        episodes = tuple(
            Episode(walked, _log_probs(trial, walked), reward)
            for (trial, walked), reward in zip(known, rewards, strict=True)
        )
        before = self.blocks[-1].digest if self.blocks else ""
        return Block(episodes, _digest(before, episodes))

    def _rewards_of(self, trials: Sequence[FrozenTrial]) -> list[float]:
        good = [_is_good(trial) for trial in trials]
        new = [list(t.values) for t, is_good in zip(trials, good, strict=True) if is_good]
        self._values += new
        rewards = iter(self._rewards(len(new)))
        broken = [_violation(trial) for trial in trials]
        infeasible = [violation for violation in broken if violation > 0]
        self._violations += infeasible
        below = iter(penalties(self._violations, len(infeasible)))
        floor = self._settings.floor_reward
        return [
            next(rewards) if is_good else floor - float(next(below)) if violation > 0 else floor
            for is_good, violation in zip(good, broken, strict=True)
        ]

    def _is_learned(self, trial: FrozenTrial) -> bool:
        if SKIPPED in trial.system_attrs:
            return False
        return trial.state != TrialState.FAIL or self._settings.learn_failures

    def walked(self, trial: FrozenTrial) -> Walked:
        """Return the decisions of a trial in order; nothing if it is not of the space."""
        params: Mapping[str, Any] = trial.params
        distributions = dict(trial.distributions)
        if self._space is not None:
            try:
                architecture = self._space.architecture(params)
            except ValueError:
                return ()
            decisions = self._space.distributions
            others = {name: value for name, value in params.items() if name not in decisions}
            params = {**architecture, **others}
            distributions.update(decisions)
        return tuple(
            self._made(name, distributions[name], value) for name, value in params.items()
        )

    def _made(self, name: str, distribution: Any, value: Any) -> tuple[Decision, float]:
        key = name, repr(distribution)  # A distribution with lists as choices has no hash.
        decision = self._decisions.get(key)
        if decision is None:
            decision = self._decisions[key] = Decision(name, distribution)
        return decision, decision.position(value)

    def _rewards(self, n_new: int) -> list[float]:
        if not n_new:
            return []
        values = np.array(self._values, dtype=float)
        outcomes = Outcomes(values, self._maximize, n_new, len(self.blocks))
        rewards = np.asarray(self._settings.reward(outcomes), dtype=float)
        if rewards.shape != (n_new,) or not np.isfinite(rewards).all():
            raise ValueError(
                f"Expected argument `reward` to return {n_new} finite numbers but got {rewards}."
            )
        return [float(reward) for reward in rewards]


def _is_settled(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() or SKIPPED in trial.system_attrs


def _is_good(trial: FrozenTrial) -> bool:
    """Tell whether a trial was completed, is feasible and has no NaN."""
    return (
        trial.state == TrialState.COMPLETE
        and not any(map(math.isnan, trial.values))
        and all(value <= 0 for value in trial.constraints.values())
    )


def _violation(trial: FrozenTrial) -> float:
    """Return by how much a trial that was not broken off by an error breaks the constraints."""
    return 0.0 if trial.state == TrialState.FAIL else violation_of(trial)


def _log_probs(trial: FrozenTrial, walked: Walked) -> tuple[float, ...]:
    known = trial.system_attrs.get(LOG_PROBS, {})
    return tuple(float(known.get(decision.name, math.nan)) for decision, _ in walked)


def _digest(before: str, episodes: Sequence[Episode]) -> str:
    text = json.dumps(
        [
            [
                [(decision.key, position) for decision, position in episode.walked],
                episode.log_probs,
                episode.reward,
            ]
            for episode in episodes
        ]
    )
    return hashlib.sha256((before + text).encode()).hexdigest()
