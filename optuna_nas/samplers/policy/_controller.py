"""The thin class around every controller: it follows the study, learns what is new, proposes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
import weakref
import zlib

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas import _compat
from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.core import ArchitectureSampler
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import Params
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.samplers.policy._agent import Agent
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._learned_states import LearnedStates
from optuna_nas.samplers.policy._replay import LOG_PROBS
from optuna_nas.samplers.policy._replay import Replay
from optuna_nas.samplers.policy._replay import SKIPPED
from optuna_nas.samplers.policy._settings import ControllerSettings
from optuna_nas.samplers.policy._state import PolicyState
from optuna_nas.samplers.policy._taken_tree import TakenTree
from optuna_nas.samplers.policy._walks import OpenWalk
from optuna_nas.samplers.policy._walks import walk_through
from optuna_nas.spaces import SearchSpace


_MAX_WALKS = 256


class ControllerSampler(ArchitectureSampler):
    """Base class of the samplers that learn a controller from the trials of the study.

    The trials are cut into blocks of consecutive numbers. A block is learned when all its trials
    are finished, and blocks are learned in order. So what is learned depends on the trials alone:
    every process that opens the study arrives at the same weights, whatever its seed.

    A trial that is not finished when ``settings.patience`` later ones are is marked as skipped
    in the study and never learned from, also if it finishes after all.

    Args:
        agent: The learning algorithm.
        settings: How the study is followed; by default ``ControllerSettings()``.
        seed: Seed of the random numbers; see :class:`ArchitectureSampler`.
        space: Search space; see :class:`ArchitectureSampler`.
        prior: Where the controller starts; see :class:`ArchitectureSampler`.
        constraints: What proposals keep; see :class:`ArchitectureSampler`.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        settings: ControllerSettings | None = None,
        seed: int | None = None,
        space: SearchSpace | None = None,
        prior: Prior | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        self._agent = agent
        self._settings = settings or ControllerSettings()
        self._learned = LearnedStates(agent)
        super().__init__(seed=seed, space=space, prior=prior, constraints=constraints)

    def _reset(self) -> None:
        super()._reset()
        self._replays: weakref.WeakKeyDictionary[History, Replay] = weakref.WeakKeyDictionary()
        self._trees: weakref.WeakKeyDictionary[History, TakenTree] = weakref.WeakKeyDictionary()
        self._states: weakref.WeakKeyDictionary[History, PolicyState] = weakref.WeakKeyDictionary()
        self._walks: OrderedDict[tuple[str, int], OpenWalk] = OrderedDict()
        self._made: list[tuple[Params, dict[str, float]]] = []
        self._proposer = PolicyState()

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for name in ("_replays", "_trees", "_states", "_walks", "_made", "_proposer"):
            del state[name]
        return state

    def pretrain(self, study: Study) -> None:
        """Start from a controller that has learned another study's trials.

        The finished trials of that study are learned in whole blocks. The moving averages start
        anew. Call it before the first trial, and in every process that works on the study.

        Args:
            study: A study over the same decisions, e.g. of another data set. Its directions may
                differ; its rewards are relative to its own trials.
        """
        replay = Replay(self._settings, study.directions, self._space)
        trials = _compat.in_number_order(study.get_trials(deepcopy=False))
        replay.update([trial for trial in trials if trial.state.is_finished()])
        with self._lock:
            self._learned.pretrain(replay.blocks)
            self._states.clear()

    def weights(self, study: Study) -> dict[str, np.ndarray]:
        """Return what the controller has learned from the closed blocks of a study.

        The result is equal, bit by bit, for every sampler with the same settings on the same
        machine, whatever its seed. Between kinds of processors the last bit may differ.

        Args:
            study: Any study.

        Returns:
            Weights and moments of the optimiser by name, float64.
        """
        replay = Replay(self._settings, study.directions, self._space)
        replay.update(_compat.in_number_order(study.get_trials(deepcopy=False)))
        with self._lock:
            state = self._learned.after(replay.blocks)
        return {name: tensor.numpy().copy() for name, tensor in state.tensors.items()}

    # Following the study.

    def _read(self, study: Study, trial: FrozenTrial, *, anew: bool = False) -> History:
        history = super()._read(study, trial, anew=anew)
        replay = self._replays.get(history)
        if replay is None:
            replay = Replay(self._settings, study.directions, self._space)
            self._replays[history] = replay
        replay.update(history.trials)
        self._states[history] = self._learned.after(replay.blocks)
        for stalled in replay.stalled(history.trials):
            _compat.set_trial_system_attr(study, stalled, SKIPPED, True)
        return history

    # All decisions at once, with a space.

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the decisions of the space and all parameters seen; nothing without a space."""
        if self._space is None:
            return {}
        return super().infer_relative_search_space(study, trial)

    def propose(self, history: History, domain: TrialDomain, rng: np.random.Generator) -> Params:
        """Let the controller make some architectures; the first acceptable one is proposed."""
        n = self._settings.n_candidates
        self._proposer = self._states[history]
        self._made = walk_through(self._agent.walk(self._proposer, n), n, domain, rng)
        for params, _ in self._made:
            if not history.is_taken(params) and not self._feasibility.violation(params):
                return params
        return self._made[-1][0]

    def _pool(
        self, history: History, domain: TrialDomain, rng: np.random.Generator, n: int
    ) -> list[Params]:
        made = walk_through(self._agent.walk(self._states[history], n), n, domain, rng)
        return [params for params, _ in made]

    def _proposal(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        params = super()._proposal(study, trial, search_space)
        if self._agent.uses_log_probs:
            log_probs = self._log_probs(study, trial, params)
            _compat.set_trial_system_attr(study, trial, LOG_PROBS, log_probs)
        return params

    def _log_probs(self, study: Study, trial: FrozenTrial, params: Params) -> dict[str, float]:
        for made, log_probs in self._made:
            if made == params:
                return log_probs
        # Something was changed after the controller.
        walk = OpenWalk(self._agent.walk(self._proposer, 1))
        distributions = self._domain(self._read(study, trial)).distributions
        known = {name: value for name, value in params.items() if name in distributions}
        walk.follow(known, distributions, self._rng(trial))
        return walk.log_probs

    # One decision at a time, as the objective asks.

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Let the controller make the next decision, after those that the trial has."""
        with self._lock:
            history = self._read(study, trial)
            rng = self._rng(trial, zlib.crc32(param_name.encode()))
            key = study.study_name, trial.number
            walk = self._walks.get(key)
            if walk is None or not walk.agrees_with(trial.params):
                walk = self._walks[key] = OpenWalk(self._agent.walk(self._states[history], 1))
            if len(self._walks) > _MAX_WALKS:
                self._walks.popitem(last=False)
            walk.follow(trial.params, trial.distributions, rng)
            decision = Decision(param_name, param_distribution)
            allowed = self._allowed(history, trial, walk, decision)
            return walk.take(decision, rng, allowed)

    def _allowed(
        self, history: History, trial: FrozenTrial, walk: OpenWalk, decision: Decision
    ) -> np.ndarray | None:
        if self._space is not None:
            return None
        tree = self._trees.get(history)
        if tree is None:
            tree = self._trees[history] = TakenTree(self._replays[history].walked)
        tree.update(history.trials, current=trial.number)
        return tree.allowed(walk.made, decision)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Store with the trial how probable its choices were, where they were made one by one."""
        with self._lock:
            walk = self._walks.pop((study.study_name, trial.number), None)
        if walk is not None and self._agent.uses_log_probs and LOG_PROBS not in trial.system_attrs:
            _compat.set_trial_system_attr(study, trial, LOG_PROBS, walk.log_probs)
