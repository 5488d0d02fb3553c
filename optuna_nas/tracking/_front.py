"""The best trials of a growing study, kept up to date one finished trial at a time."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState


class Front:
    """The numbers of the best trials: the Pareto front, or the one best trial of one objective.

    It agrees with ``study.best_trials`` (``study.best_trial`` if there is one objective) and costs
    one comparison with the front for each new trial, while those look at the whole study again.

    Args:
        directions: The study's directions.
    """

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
        self._seen: set[int] = set()
        self._losses: dict[int, list[float]] = {}

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers of the trials on the front."""
        return frozenset(self._losses)

    def update(self, trials: Iterable[FrozenTrial]) -> frozenset[int]:
        """Take the trials of the study that it has not seen yet; return :attr:`numbers`."""
        for trial in trials:
            if trial.number in self._seen or not trial.state.is_finished():
                continue
            self._seen.add(trial.number)
            if trial.state == TrialState.COMPLETE and is_feasible(trial):
                loss = [
                    sign * value for sign, value in zip(self._signs, trial.values, strict=True)
                ]
                self._add(trial.number, loss)
        return self.numbers

    def _add(self, number: int, loss: list[float]) -> None:
        if len(loss) == 1:
            ranked = [(other[0], n) for n, other in self._losses.items()] + [(loss[0], number)]
            best, winner = min(ranked)
            self._losses = {winner: [best]}
        elif not any(_dominates(other, loss) for other in self._losses.values()):
            kept = {n: other for n, other in self._losses.items() if not _dominates(loss, other)}
            self._losses = {**kept, number: loss}


def is_feasible(trial: FrozenTrial) -> bool:
    """Tell whether no constraint is violated; Optuna counts a missing one as kept."""
    return all(value <= 0 for value in trial.constraints.values())


def _dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b
