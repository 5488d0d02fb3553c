"""The histories of the studies of one sampler, each read on."""

from __future__ import annotations

import weakref

from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_nas import _compat
from optuna_nas.samplers.core._history import History
from optuna_nas.spaces import SearchSpace


class Histories:
    """Keeps a history for each study, and for each part of it that a pruner shows a sampler.

    Args:
        space: See :class:`History`.
    """

    def __init__(self, space: SearchSpace | None) -> None:
        self._space = space
        self._known: weakref.WeakKeyDictionary[Study, dict[int | None, History]] = (
            weakref.WeakKeyDictionary()
        )

    def read(self, study: Study, trial: FrozenTrial, *, anew: bool = False) -> History:
        """Return the history of a study for a trial.

        Args:
            study: The study, or the bracket of it that ``HyperbandPruner`` hands in.
            trial: The trial that is being sampled.
            anew: Whether to look for news although it was read for this trial already.
        """
        whole, bracket = _compat.whole_study(study)
        parts = self._known.setdefault(whole, {})
        history = parts.get(bracket)
        if history is not None and history.read_for == trial.number and not anew:
            return history
        trials = _compat.in_number_order(study.get_trials(deepcopy=False))
        if history is None or not history.is_continued_by(trials):
            history = parts[bracket] = History(study.directions, self._space)
        history.update(trials, current=trial.number)
        return history
