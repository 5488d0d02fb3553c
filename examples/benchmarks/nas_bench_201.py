"""Compares samplers on NAS-Bench-201, where every architecture has been trained already.

    python examples/benchmarks/nas_bench_201.py --output results
    python examples/benchmarks/nas_bench_201.py --samplers random tpe genetic --seeds 10
    python examples/benchmarks/nas_bench_201.py --quick

A search sees the validation accuracy of one of three training runs, run ``seed % 3``. It is scored
by the mean accuracy of the architecture that it would choose, against the best mean of the table.
With two objectives it is scored by the hypervolume of all that it has tried, against the true
front. Needs no GPU, but ``pip install 'optuna-nas[benchmarks]'``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
import dataclasses
import json
import os
from pathlib import Path
import platform

from _nas_bench_201_plots import plot_hypervolume
from _nas_bench_201_plots import plot_regret
from _nas_bench_201_runs import execute_all
from _nas_bench_201_runs import Job
from _nas_bench_201_runs import Run
from _nas_bench_201_samplers import SAMPLERS
from _nas_bench_201_samplers import SLOW
from _nas_bench_201_samplers import STOCK
from _nas_bench_201_scores import Scorer
from _nas_bench_201_tables import hypervolume_tables
from _nas_bench_201_tables import ratio_table
from _nas_bench_201_tables import regret_tables
from _nas_bench_201_tables import Table
from _nas_bench_201_tables import time_table
from _nas_bench_201_tables import TITLES
from _script import make_console
from _script import parse
from jsonargparse import ArgumentParser
from jsonargparse import Namespace
import optuna
from rich.progress import track


QUICK = {
    "evaluations": [10, 25],
    "two_objective_evaluations": [25],
    "seeds": 3,
    "slow_seeds": 1,
    "slow_two_objective_seeds": 1,
}


def make_parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--samplers", nargs="+", choices=list(SAMPLERS), default=list(SAMPLERS))
    add("--datasets", nargs="+", choices=list(TITLES), default=list(TITLES))
    add("--evaluations", nargs="+", type=int, default=[25, 50, 100, 200])
    add("--two-objective-evaluations", nargs="*", type=int, default=[100, 300])
    add("--seeds", type=int, default=50, help="runs of each sampler on each data set")
    add("--slow-seeds", type=int, default=9, help=f"runs of {', '.join(SLOW)}")
    add("--slow-two-objective-seeds", type=int, default=3, help="the same with two objectives")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    add("--output", type=Path, help="folder for regret.png, hypervolume.png, tables.md, runs.json")
    add("--reuse", type=Path, help="a runs.json; runs of Optuna's samplers are taken from there")
    add("--quick", action="store_true", help=f"a small run for a first look: {QUICK}")
    return parser


def make_jobs(args: Namespace) -> list[Job]:
    """Return all searches, the slow ones first so that none is left over at the end."""
    jobs = []
    for sampler in sorted(args.samplers, key=lambda name: name not in SLOW):
        for n_objectives, evaluations, slow_seeds in (
            (2, args.two_objective_evaluations, args.slow_two_objective_seeds),
            (1, args.evaluations, args.slow_seeds),
        ):
            n_seeds = min(args.seeds, slow_seeds) if sampler in SLOW else args.seeds
            jobs += [
                Job(sampler, dataset, seed, max(evaluations), n_objectives)
                for seed in range(n_seeds)
                for dataset in args.datasets
                if evaluations
            ]
    return jobs


def group(
    runs: Sequence[Run], args: Namespace, n_objectives: int
) -> dict[tuple[str, str], list[Run]]:
    """Return the runs by sampler and data set, in the order of the arguments, sorted by seed."""
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.job.seed):
        if run.job.n_objectives == n_objectives:
            found[run.job.sampler, run.job.dataset].append(run)
    order = [(sampler, dataset) for sampler in args.samplers for dataset in args.datasets]
    return {key: found[key] for key in order if key in found}


def write(output: Path, args: Namespace, runs: Sequence[Run], tables: Sequence[Table]) -> None:
    """Write the tables as Markdown and the runs as JSON."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "tables.md").write_text("\n".join(table.to_markdown() for table in tables))
    document = {
        "optuna": optuna.__version__,
        "python": platform.python_version(),
        "evaluations": args.evaluations,
        "two_objective_evaluations": args.two_objective_evaluations,
        "runs": [dataclasses.asdict(run) for run in runs],
    }
    (output / "runs.json").write_text(json.dumps(document))


def read(path: Path, jobs: Sequence[Job]) -> list[Run]:
    """Return those of the runs in a file that are wanted and not of this package's samplers."""
    wanted = {job for job in jobs if job.sampler in STOCK}
    found = [
        Run(Job(**run["job"]), tuple(run["rows"]), run["seconds"])
        for run in json.loads(path.read_text())["runs"]
    ]
    return [run for run in found if run.job in wanted]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    args = parse(make_parser(), QUICK, arguments)
    console = make_console(100)
    jobs = make_jobs(args)
    runs = read(args.reuse, jobs) if args.reuse else []
    jobs = [job for job in jobs if job not in {run.job for run in runs}]
    runs += track(
        execute_all(jobs, args.jobs),
        description="searches",
        total=len(jobs),
        console=console,
        disable=not console.is_terminal,
    )
    single, double = (group(runs, args, n_objectives) for n_objectives in (1, 2))
    scorers = {dataset: Scorer(dataset) for dataset in args.datasets}
    ratios = ratio_table(single, scorers, args.evaluations)
    tables = [
        *regret_tables(single, scorers, args.evaluations),
        *([ratios] if ratios else []),
        *hypervolume_tables(double, scorers, args.two_objective_evaluations),
        time_table(single, double),
    ]
    for table in tables:
        console.print(table.to_rich())
    if args.output is not None:
        write(args.output, args, runs, tables)
        plot_regret(single, scorers, args.output / "regret.png")
        if double:
            plot_hypervolume(double, scorers, args.output / "hypervolume.png")


if __name__ == "__main__":
    main()
