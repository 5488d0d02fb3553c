"""Scores runs by the mean of the training runs, which the searches have not seen."""

from __future__ import annotations

from functools import cached_property

from _nas_bench_201_runs import DIRECTIONS
from _nas_bench_201_runs import N_ACCURACY_SEEDS
from _nas_bench_201_runs import Run
import numpy as np

from optuna_nas.benchmarks import HypervolumeIndicator
from optuna_nas.benchmarks import NASBench201


class Scorer:
    """Scores the runs on one data set.

    Args:
        dataset: Name of the data set.
    """

    def __init__(self, dataset: str) -> None:
        seen = [NASBench201(dataset, accuracy_seed=seed) for seed in range(N_ACCURACY_SEEDS)]
        truth = NASBench201(dataset, accuracy_seed="mean")
        self._seen = [benchmark.losses(list(DIRECTIONS)) for benchmark in seen]
        self._true = truth.losses(list(DIRECTIONS))
        self._space = truth.space
        self._of_function = self._mean_by_function(self._true)
        self._indicator = HypervolumeIndicator(self._of_function)
        self._cell_indicator = HypervolumeIndicator(self._true)

    def regret(self, run: Run) -> np.ndarray:
        """Return the regret after each trial in percentage points of accuracy.

        It is how much the mean accuracy of the trial with the best seen accuracy so far (the first
        of equals) falls short of the best mean of the table.

        Returns:
            Shape ``(n_trials,)``.
        """
        rows = np.array(run.rows)
        losses = self._seen_by(run)[rows, 0]
        lowest = np.minimum.accumulate(losses)
        improved = losses < np.concatenate([[np.inf], lowest[:-1]])
        chosen = np.maximum.accumulate(np.where(improved, np.arange(len(rows)), 0))
        regret: np.ndarray = self._true[rows[chosen], 0] - self._true[:, 0].min()
        return 100 * regret

    def floor(self, seed: int) -> float:
        """Return the regret, in percentage points, of a run that has seen the whole table."""
        seen = self._seen[seed % N_ACCURACY_SEEDS]
        return float(100 * (self._true[seen[:, 0].argmin(), 0] - self._true[:, 0].min()))

    def mean_floor(self) -> float:
        """Return the mean of :meth:`floor` over the three training runs."""
        return float(np.mean([self.floor(seed) for seed in range(N_ACCURACY_SEEDS)]))

    def hypervolume_regret(self, run: Run, n: int) -> float:
        """Return what the first ``n`` trials of the run lack of the true hypervolume.

        Accuracy and latency of a trial are the means over all cells of the table that compute its
        function: the latency of each cell was measured once, and the luckiest of 242 measurements
        of one function is no faster network.
        """
        return self._indicator.regret(self._of_function[np.array(run.rows[:n])])

    def cell_hypervolume_regret(self, run: Run, n: int) -> float:
        """Return the same with each cell's own latency and mean accuracy, luck included."""
        return self._cell_indicator.regret(self._true[np.array(run.rows[:n])])

    def best_hypervolume(self) -> float:
        """Return the hypervolume of the true front."""
        return self._indicator.best

    def n_distinct(self, run: Run, n: int) -> int:
        """Return the number of different functions (canonical keys) among the first trials."""
        return len({self._keys[row] for row in run.rows[:n]})

    def _seen_by(self, run: Run) -> np.ndarray:
        return self._seen[run.job.seed % N_ACCURACY_SEEDS]

    def _mean_by_function(self, losses: np.ndarray) -> np.ndarray:
        _, function = np.unique(self._keys, return_inverse=True)
        counts = np.bincount(function)
        columns = [np.bincount(function, weights=column) / counts for column in losses.T]
        by_function: np.ndarray = np.stack(columns, axis=1)[function]
        return by_function

    @cached_property
    def _keys(self) -> list[str]:
        space = self._space
        return [space.canonical_key(space.architecture_at(row)) for row in range(space.size)]


def mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error over the runs, the first axis; NaN error for one run."""
    n = len(values)
    error = values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(values.shape[1:], np.nan)
    return values.mean(axis=0), error
