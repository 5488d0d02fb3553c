"""A study callback that ends a search when a small space has nothing more to try."""

from __future__ import annotations

import threading

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_nas.spaces import SearchSpace


_logger = optuna.logging.get_logger(__name__)


class StopWhenExhausted:
    """A callback for ``study.optimize`` that stops it when every architecture was evaluated.

    Architectures are told apart by canonical key. One counts as evaluated if a trial with it is
    COMPLETE or PRUNED, whoever ran or added the trial; those of FAIL trials may be tried again.
    Parameters outside the space do not matter.

    It is exact for a space of any size and never counts beyond what was tried: it walks through
    the space, and waits at the first architecture that is still open. So all of its calls together
    look at each architecture once.

    Args:
        space: The space from which the objective suggests.

    Example:

        >>> from optuna.distributions import IntDistribution
        >>> from optuna_nas import CustomSpace
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = CustomSpace({"depth": IntDistribution(1, 3)})
        >>> study = optuna.create_study()
        >>> stop = StopWhenExhausted(space)
        >>> study.optimize(lambda trial: space.suggest(trial)["depth"], 50, callbacks=[stop])
        >>> sorted({trial.params["depth"] for trial in study.trials}), len(study.trials) < 50
        ([1, 2, 3], True)
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._lock = threading.Lock()
        self._study: Study | None = None
        self._restart()

    def _restart(self) -> None:
        self._read: set[int] = set()
        self._keys: set[str] = set()
        self._n_passed = 0

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Stop the study if nothing is left."""
        if self.is_exhausted(study):
            _logger.warning(f"{self.sentence} The study stops.")
            study.stop()

    @property
    def sentence(self) -> str:
        """What to say when nothing is left."""
        n = len(self._keys)
        return f"All {n:,} different architectures of the space {self._space.name} were evaluated."

    def is_exhausted(self, study: Study) -> bool:
        """Tell whether every architecture of the space was evaluated."""
        with self._lock:
            if study is not self._study:
                self._study = study
                self._restart()
            self._update(study)
            while self._n_passed < self._space.size:
                architecture = self._space.architecture_at(self._n_passed)
                if self._space.canonical_key(architecture) not in self._keys:
                    return False
                self._n_passed += 1
            return True

    def _update(self, study: Study) -> None:
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        for trial in study.get_trials(deepcopy=False, states=states):
            if trial.number in self._read:
                continue
            self._read.add(trial.number)
            try:
                architecture = self._space.architecture(trial.params)
            except ValueError:  # Of another space.
                continue
            self._keys.add(self._space.canonical_key(architecture))
