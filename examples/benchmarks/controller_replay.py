"""Time of the controllers: replaying a long study, and one more proposal, 20 decisions.

    python examples/benchmarks/controller_replay.py

Replay is what a restarted process does before its first proposal. A trial is everything from ask
over 20 suggestions to tell, in studies of different length. The median trial is a proposal alone,
the mean trial has its share of learning a block of trials; the last column compares the mean with
Optuna's ``RandomSampler`` in the same study.
"""

from __future__ import annotations

import time

from jsonargparse import ArgumentParser
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler
from rich.console import Console
from rich.table import Table
import torch

from optuna_nas import CustomSpace
from optuna_nas import samplers


SPACE = CustomSpace(
    {f"decision_{i:02}": CategoricalDistribution(("a", "b", "c", "d", "e")) for i in range(20)}
)


def objective(trial: optuna.Trial) -> float:
    """Return how often the first choice was made."""
    return list(SPACE.suggest(trial).values()).count("a")


def seconds_of(sampler: BaseSampler, study: optuna.Study, n_trials: int) -> np.ndarray:
    """Return the seconds of each of a number of trials with a sampler."""
    study.sampler = sampler
    times = [time.perf_counter()]
    study.optimize(
        objective,
        n_trials=n_trials,
        callbacks=[lambda study, trial: times.append(time.perf_counter())],
    )
    return np.diff(times)


def main() -> None:
    """Measure, and print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--quick", action="store_true", help="100 trials")
    args = parser.parse_args()
    lengths = [100] if args.quick else args.trials
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table("sampler", "trials", "replay (s)", "median (ms)", "mean (ms)", "x RandomSampler")
    for n_trials in lengths:
        for name in ("ReinforceSampler", "PPOSampler", "ActorCriticSampler", "DDPGSampler"):
            cls = getattr(samplers, name)
            study = optuna.create_study(direction="maximize")
            seconds_of(cls(seed=0, space=SPACE), study, n_trials)
            random = seconds_of(optuna.samplers.RandomSampler(seed=1), study, 20)
            restarted = cls(seed=2, space=SPACE)
            replay = seconds_of(restarted, study, 1)
            trials = seconds_of(restarted, study, 100)
            table.add_row(
                name,
                str(n_trials),
                f"{replay.sum():.2f}",
                f"{1000 * np.median(trials):.1f}",
                f"{1000 * trials.mean():.1f}",
                f"{trials.mean() / random.mean():.1f}",
            )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
