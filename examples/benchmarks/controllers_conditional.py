"""Controllers on a conditional space in which several decisions have to agree.

    python examples/benchmarks/controllers_conditional.py

The space is a chain of up to 6 layers and 2 fully connected ones. An architecture is worth more
the longer its run of convolutions with the same filters from the first layer on, so a good layer
pays only if the layers before agree with it, and depth pays only with good layers. Printed is the
mean value of the last 100 of 600 trials over the seeds, with its standard error.
"""

from __future__ import annotations

from collections.abc import Callable

from jsonargparse import ArgumentParser
import numpy as np
import optuna
from optuna.samplers import BaseSampler
from rich.console import Console
from rich.progress import track
from rich.table import Table

from optuna_nas import ChainSpace
from optuna_nas import samplers


SPACE = ChainSpace()


def agreement(trial: optuna.Trial) -> float:
    """Return the share of agreeing layers, in [0, 1]."""
    architecture = SPACE.suggest(trial)
    layers = SPACE.layers(architecture)
    filters = layers[0].get("filters")
    run = 0
    for layer in layers:
        if layer["type"] != "conv" or layer["filters"] != filters:
            break
        run += 1
    return run / SPACE.max_depth


def factories() -> dict[str, Callable[[int], BaseSampler]]:
    """Return what makes each sampler from a seed."""
    made: dict[str, Callable[[int], BaseSampler]] = {
        "Optuna RandomSampler": lambda seed: optuna.samplers.RandomSampler(seed=seed),
        "Optuna TPESampler": lambda seed: optuna.samplers.TPESampler(seed=seed),
    }
    for name in ("ReinforceSampler", "PPOSampler", "ActorCriticSampler", "DDPGSampler"):
        cls = getattr(samplers, name)
        made[name] = lambda seed, cls=cls: cls(seed=seed, space=SPACE)
    return made


def last_mean(sampler: BaseSampler, n_trials: int) -> float:
    """Return the mean value of the last sixth of the trials."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(agreement, n_trials=n_trials)
    return float(np.mean([trial.value for trial in study.trials[-(n_trials // 6) :]]))


def main() -> None:
    """Run all samplers with all seeds, and print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=600)
    parser.add_argument("--quick", action="store_true", help="2 seeds of 60 trials")
    args = parser.parse_args()
    n_seeds, n_trials = (2, 60) if args.quick else (args.seeds, args.trials)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    console = Console(width=90)
    table = Table("sampler", "mean of the last sixth", title=f"{n_seeds} seeds, {n_trials} trials")
    for name, factory in factories().items():
        seeds = track(range(n_seeds), name, console=Console(stderr=True), transient=True)
        means = np.array([last_mean(factory(seed), n_trials) for seed in seeds])
        error = means.std(ddof=1) / np.sqrt(n_seeds)
        table.add_row(name, f"{means.mean():.3f} ± {error:.3f}")
    console.print(table)


if __name__ == "__main__":
    main()
