"""Time of the controllers: replaying a long study, and one more proposal, 20 decisions.

    python examples/benchmarks/controller_replay.py

Replay is what a restarted process does before its first proposal. The time of a proposal is that
of a whole trial (ask, 20 suggestions, tell), in studies of different length, and as a multiple of
the time of Optuna's ``RandomSampler`` in the same study.
"""

from __future__ import annotations

import time

from jsonargparse import ArgumentParser
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


def seconds_of(sampler: BaseSampler, study: optuna.Study, n_trials: int) -> float:
    """Return the seconds of a number of trials with a sampler."""
    study.sampler = sampler
    started = time.perf_counter()
    study.optimize(objective, n_trials=n_trials)
    return time.perf_counter() - started


def main() -> None:
    """Measure, and print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--quick", action="store_true", help="100 trials")
    args = parser.parse_args()
    lengths = [100] if args.quick else args.trials
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table("sampler", "trials", "replay (s)", "ms per trial", "x RandomSampler")
    for n_trials in lengths:
        for name in ("ReinforceSampler", "PPOSampler", "ActorCriticSampler", "DDPGSampler"):
            cls = getattr(samplers, name)
            study = optuna.create_study(direction="maximize")
            seconds_of(cls(seed=0, space=SPACE), study, n_trials)
            random = seconds_of(optuna.samplers.RandomSampler(seed=1), study, 20) / 20
            restarted = cls(seed=2, space=SPACE)
            replay = seconds_of(restarted, study, 1)
            proposal = seconds_of(restarted, study, 100) / 100
            table.add_row(
                name,
                str(n_trials),
                f"{replay:.2f}",
                f"{1000 * proposal:.1f}",
                f"{proposal / random:.1f}",
            )
    Console(width=90).print(table)


if __name__ == "__main__":
    main()
