"""Time per trial of the samplers when the study is long: 20 categorical decisions, 2 objectives.

    python examples/benchmarks/sampler_overhead.py
    python examples/benchmarks/sampler_overhead.py --storage sqlite --trials 1000

Each sampler continues a study of its own with the same existing trials. The samplers take turns,
a few trials each, so that all of them see the same machine; the ratios are to Optuna's
``RandomSampler``. A trial is ask, 20 suggestions, tell.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import tempfile
import time

from jsonargparse import ArgumentParser
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import create_trial
from rich.console import Console
from rich.table import Table

from optuna_nas import CustomSpace
from optuna_nas import samplers


SPACE = CustomSpace(
    {f"decision_{i:02}": CategoricalDistribution(("a", "b", "c", "d", "e")) for i in range(20)}
)
OURS = (
    "GeneticSampler",
    "RegularizedEvolutionSampler",
    "LocalSearchSampler",
    "RandomArchitectureSampler",
)


def factories() -> dict[str, Callable[[], BaseSampler]]:
    """Return what makes each sampler; ours with the space and as a drop-in without it."""
    made: dict[str, Callable[[], BaseSampler]] = {
        "Optuna RandomSampler": lambda: optuna.samplers.RandomSampler(seed=0),
        "Optuna NSGAIISampler": lambda: optuna.samplers.NSGAIISampler(seed=0),
    }
    for name in OURS:
        cls = getattr(samplers, name)
        made[name] = lambda cls=cls: cls(seed=0, space=SPACE)
        made[f"{name} without space"] = lambda cls=cls: cls(seed=0)
    return made


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Return two conflicting counts with some noise to break ties."""
    choices = list(SPACE.suggest(trial).values())
    noise = (trial.number * 0.6180339887) % 1
    return choices.count("a") + noise, choices.count("b") + noise


def existing_trials(n: int) -> list[optuna.trial.FrozenTrial]:
    """Return completed trials of random architectures."""
    rng = np.random.default_rng(0)
    trials = []
    for _ in range(n):
        params = dict(SPACE.sample(rng))
        choices = list(params.values())
        values = [choices.count("a") + rng.random(), choices.count("b") + rng.random()]
        trials.append(
            create_trial(params=params, distributions=dict(SPACE.distributions), values=values)
        )
    return trials


def make_study(sampler: BaseSampler, url: str | None, n_existing: int) -> optuna.Study:
    """Return a study with existing trials."""
    study = optuna.create_study(directions=["maximize", "maximize"], sampler=sampler, storage=url)
    study.add_trials(existing_trials(n_existing))
    return study


def main() -> None:
    """Measure, and print the times and the ratios."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=5000, help="existing trials")
    parser.add_argument("--rounds", type=int, default=30, help="turns of each sampler")
    parser.add_argument("--per-round", type=int, default=10, help="trials of a turn")
    parser.add_argument("--storage", choices=["memory", "sqlite"], default="memory")
    parser.add_argument("--quick", action="store_true", help="300 trials, 3 turns of 5")
    args = parser.parse_args()
    if args.quick:
        args.trials, args.rounds, args.per_round = 300, 3, 5
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        studies = {}
        for i, (name, factory) in enumerate(factories().items()):
            url = f"sqlite:///{Path(folder) / str(i)}.db" if args.storage == "sqlite" else None
            studies[name] = make_study(factory(), url, args.trials)
        seconds: dict[str, list[float]] = {name: [] for name in studies}
        for _ in range(args.rounds + 1):
            for name, study in studies.items():
                started = time.perf_counter()
                study.optimize(objective, n_trials=args.per_round)
                seconds[name].append((time.perf_counter() - started) / args.per_round)
    table = Table(title=f"{args.trials} existing trials, {args.storage}; median of {args.rounds}")
    for column in ("sampler", "ms per trial", "x RandomSampler", "x NSGAIISampler"):
        table.add_column(column, justify="left" if column == "sampler" else "right")
    # The first turn reads the existing trials; per turn, ratios of neighbours in time.
    turns = {name: np.array(values[1:]) for name, values in seconds.items()}
    for name, values in turns.items():
        ratios = [
            np.median(values / turns[f"Optuna {base}"])
            for base in ("RandomSampler", "NSGAIISampler")
        ]
        table.add_row(name, f"{1000 * np.median(values):.2f}", *(f"{r:.2f}" for r in ratios))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
