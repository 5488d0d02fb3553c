"""Feasible architectures that samplers find when only the objective knows the constraint.

    python examples/benchmarks/constrained_feasible.py

Every choice of every decision has a cost, drawn once, and the sum is within the bound for 3% of
the architectures. The samplers are not told: the objective records the violation with
``trial.set_constraint`` and prunes the trial. Printed are the feasible trials of 150 and the
different architectures among them, with standard errors over the seeds; the ratio is to Optuna's
``TPESampler`` in the same run, seed by seed. Ours have the search space and propose nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import _script
from jsonargparse import ArgumentParser
import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from rich.table import Table

from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import Constraint
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas import samplers
from optuna_nas import SearchSpace


SPACES: dict[str, Callable[[], SearchSpace]] = {
    "cell": CellSpace,
    "chain": ChainSpace,
    "darts": DartsSpace,
    "mobile": MobileSpace,
}
OURS = ("GeneticSampler", "RegularizedEvolutionSampler", "LocalSearchSampler")
TPE = "Optuna TPESampler"


class Problem:
    """A space with a cost that has to be low and a value that should be high.

    Args:
        space: The search space.
        feasible: Share of the architectures that keep the bound.
        seed: Seed of costs and values.
    """

    def __init__(self, space: SearchSpace, *, feasible: float = 0.03, seed: int = 0) -> None:
        self.space = space
        self._seed = seed
        self._drawn: dict[tuple[str, object], np.ndarray] = {}
        rng = np.random.default_rng(seed)
        costs = [self._sums(space.sample(rng))[0] for _ in range(4000)]
        self.constraint = Constraint(
            "cost", upper=float(np.quantile(costs, feasible)), function=lambda a: self._sums(a)[0]
        )

    def _sums(self, architecture: Architecture) -> np.ndarray:
        """Return cost and value; what a choice contributes depends on its text alone."""
        total = np.zeros(2)
        for item in architecture.items():
            if item not in self._drawn:
                text = f"{self._seed} {item}".encode()
                self._drawn[item] = np.random.default_rng(list(text)).random(2)
            total += self._drawn[item]
        return total

    def evaluate(self, architecture: Architecture, *, report: object = None) -> dict[str, float]:
        """Return the value."""
        return {"value": float(self._sums(architecture)[1])}

    def run(self, sampler: BaseSampler, n_trials: int) -> tuple[int, int]:
        """Return the number of feasible trials, and of different architectures among them."""
        study = optuna.create_study(direction="maximize", sampler=sampler)
        objective = ArchitectureObjective(
            self.space, self.evaluate, objectives=["value"], constraints=[self.constraint]
        )
        study.optimize(objective, n_trials=n_trials)
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        found = [self.space.architecture(trial.params) for trial in complete]
        return len(found), len({self.space.canonical_key(member) for member in found})


def make(name: str, space: SearchSpace, seed: int) -> BaseSampler:
    """Return the sampler of a row."""
    if name == TPE:
        return optuna.samplers.TPESampler(seed=seed)
    made: BaseSampler = getattr(samplers, name)(seed=seed, space=space)
    return made


def with_error(values: np.ndarray, digits: int = 1) -> str:
    """Return mean and standard error over the seeds."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all samplers with all seeds, and print a table for each space."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--spaces", nargs="+", choices=list(SPACES), default=list(SPACES))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--quick", action="store_true", help="the cell space, 2 seeds, 60 trials")
    quick = {"spaces": ["cell"], "seeds": 2, "trials": 60}
    args = _script.parse(parser, quick, arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    console = _script.make_console(90)
    for name in args.spaces:
        problem = Problem(SPACES[name]())
        table = Table(title=f"{name}: {args.seeds} seeds, {args.trials} trials")
        for column in ("sampler", "feasible", "different", "ratio to TPE"):
            table.add_column(column, justify="left" if column == "sampler" else "right")
        found = {
            row: np.array(
                [
                    problem.run(make(row, problem.space, seed), args.trials)
                    for seed in range(args.seeds)
                ]
            )
            for row in (TPE, *OURS)
        }
        for row, counts in found.items():
            ratios = counts[:, 0] / np.maximum(found[TPE][:, 0], 1)
            table.add_row(row, *map(with_error, counts.T), with_error(ratios, 2))
        console.print(table)


if __name__ == "__main__":
    main()
