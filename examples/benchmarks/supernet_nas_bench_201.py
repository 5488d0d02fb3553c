"""Supernet stages on Fashion-MNIST, judged by the table of NAS-Bench-201.

    python examples/benchmarks/supernet_nas_bench_201.py --output supernets
    python examples/benchmarks/supernet_nas_bench_201.py --relaxations fairnas --seeds 0 1 2 3 4
    python examples/benchmarks/supernet_nas_bench_201.py --quick

Each relaxation trains a small supernet of the cell space (8 channels, one cell a stage) as
``optuna-nas supernet`` does. The cell that it finds is looked up: the first table has its place in
the table, from 0 (best) to 100%, for all three data sets. The second has Spearman's correlation of
the shared-weight scores of 200 random cells with the CIFAR-10 accuracies, for relaxations that
train paths. The third compares the regret of genetic search that starts from the prior with that
of a cold one, over 50 runs. Where Fashion-MNIST is not installed, the digits of scikit-learn stand
in. Needs ``pip install 'optuna-nas[benchmarks]'``; what the output folder holds is not repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from functools import cache
import json
from pathlib import Path
import tempfile
import time
from typing import Any

from _nas_bench_201_runs import execute
from _nas_bench_201_runs import Job
from _nas_bench_201_scores import Scorer
from _script import make_console
from _script import parse
from _script import write
from jsonargparse import ArgumentParser
from jsonargparse import Namespace
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import spearmanr
import torch

from lightning_modules.data import DataError
from lightning_modules.data import ImageDataModule
from lightning_modules.data import make_datamodule
from lightning_modules.supernet import StageSettings
from lightning_modules.supernet import SupernetEvaluator
from lightning_modules.supernet import SupernetResult
from lightning_modules.supernet import SupernetStage
from lightning_modules.supernet.relaxations import RELAXATIONS
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas.benchmarks import NASBench201
from optuna_nas.prior import Prior
from optuna_nas.prior import warm_start
from optuna_nas.samplers import GeneticSampler


QUICK = {
    "relaxations": ["fairnas"],
    "seeds": [0],
    "epochs": 1,
    "channels": 4,
    "data": "digits",
    "paths": 10,
    "cells": 10,
    "val_images": 500,
    "runs": 2,
}
DATASETS = ("cifar10", "cifar100", "imagenet16-120")
SPACE = CellSpace()
CELL_SEED = 1234
COLD, WARM = 50, 20


def make_parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--relaxations", nargs="+", choices=list(RELAXATIONS), default=in_cells())
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--epochs", type=int, help="by default those of the relaxation")
    add("--channels", type=int, default=8)
    add("--data", choices=["fashion-mnist", "digits"], default="fashion-mnist")
    add("--paths", type=int, default=250, help="that make the prior")
    add("--loss-alone", action="store_true", help="without the proxy; in a folder of its own")
    add("--cells", type=int, default=200, help="random cells for the correlation")
    add("--val-images", type=int, default=10_000, help="of the accuracies of the random cells")
    add("--runs", type=int, default=50, help="searches from each prior and without")
    add("--accelerator", default="auto")
    add("--threads", type=int, default=2)
    add("--output", type=Path, help="folder of all stages and results")
    add("--quick", action="store_true", help=f"a small run for a first look: {QUICK}")
    return parser


def in_cells() -> list[str]:
    """Return the relaxations that the cell space has use for."""
    return [name for name in RELAXATIONS if name != "ofa"]


def measure(name: str, seed: int, data: ImageDataModule, args: Namespace, folder: Path) -> Any:
    """Run one stage and return what it found, in plain JSON types."""
    stage = SupernetStage(
        space=SPACE,
        datamodule=data,
        settings=StageSettings(
            name,
            args.epochs,
            args.paths,
            **({"proxy": None} if args.loss_alone else {}),
        ),
        network={"channels": args.channels, "cells_per_stage": 1},
        folder=folder,
        seed=seed,
        accelerator=args.accelerator,
    )
    started = time.perf_counter()
    result = stage.run()
    seconds = time.perf_counter() - started
    found = {
        "cell": SPACE.to_string(result.architecture),
        "seconds": seconds,
        "epochs": stage.settings.n_epochs,
        "prior": result.prior.to_json(),
    }
    if result.scores is not None:
        found["spearman"] = correlations(result, data, args)
    return found


def correlations(
    result: SupernetResult, data: ImageDataModule, args: Namespace
) -> dict[str, float]:
    """Return Spearman's correlation of shared-weight accuracy and loss with the table."""
    rng = np.random.default_rng(CELL_SEED)
    cells = [SPACE.sample(rng) for _ in range(args.cells)]
    evaluate = SupernetEvaluator.from_data(result.supernet, data, val_samples=args.val_images)
    scores = [evaluate(cell).metrics for cell in cells]
    table = table_of("cifar10")
    truth = table.mean_accuracies()[[table.index(cell) for cell in cells]]
    return {
        name: sign * float(spearmanr([score[name] for score in scores], truth).statistic)
        for name, sign in [("val_accuracy", 1), ("val_loss", -1)]
    }


def measure_all(args: Namespace, console: Console, folder: Path) -> dict[str, Any]:
    """Run all stages that the folder does not hold."""
    data = make_datamodule(args.data)
    data.prepare_data()
    data.setup("fit")
    file = folder / "results.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    jobs = [(seed, name) for seed in args.seeds for name in args.relaxations]
    for seed, name in track(jobs, "stages", console=console, disable=not console.is_terminal):
        key = f"{name}-{seed}"
        if key not in results:
            results[key] = measure(name, seed, data, args, folder / key)
            write(file, results)
    return {f"{name}-{seed}": results[f"{name}-{seed}"] for seed, name in jobs}


@cache
def table_of(dataset: str) -> NASBench201:
    """Return the table of a data set."""
    return NASBench201(dataset)


def percentile(cell: Architecture, dataset: str) -> float:
    """Return the part of the table's cells, in percent, that is better than a cell."""
    table = table_of(dataset)
    accuracies = table.mean_accuracies()
    return float(100 * np.mean(accuracies > accuracies[table.index(cell)]))


def found_table(results: Mapping[str, Any], args: Namespace) -> Table:
    """Return the table of the cells that were found."""
    table = Table(title="Better cells in the table, in % (by seed)")
    for column in ("relaxation", *DATASETS, "skips", "seconds", "epochs"):
        table.add_column(column, justify="left" if column == "relaxation" else "right")
    for name in args.relaxations:
        own = [results[f"{name}-{seed}"] for seed in args.seeds]
        cells = [SPACE.from_string(found["cell"]) for found in own]
        places = [" ".join(f"{percentile(cell, d):.1f}" for cell in cells) for d in DATASETS]
        skips = " ".join(str(list(cell.values()).count("skip_connect")) for cell in cells)
        seconds = " ".join(f"{found['seconds']:.0f}" for found in own)
        table.add_row(name, *places, skips, seconds, str(own[0]["epochs"]))
    return table


def rank_table(results: Mapping[str, Any], args: Namespace) -> Table:
    """Return the table of the correlations."""
    table = Table(title=f"Spearman with CIFAR-10 over {args.cells} random cells (by seed)")
    for column in ("relaxation", "by loss", "by accuracy"):
        table.add_column(column)
    for name in args.relaxations:
        own = [results[f"{name}-{seed}"].get("spearman") for seed in args.seeds]
        if None not in own:
            parts = [
                " ".join(f"{found[score]:.3f}" for found in own)
                for score in ("val_loss", "val_accuracy")
            ]
            table.add_row(name, *parts)
    return table


def warm_table(results: Mapping[str, Any], args: Namespace, console: Console) -> Table:
    """Return the regrets of searches that start from the priors, and of cold ones."""
    table = Table(title=f"Regret of genetic search in points, {args.runs} runs (standard error)")
    table.add_column("search")
    for dataset in DATASETS:
        table.add_column(dataset, justify="right")
    scorers = {dataset: Scorer(dataset) for dataset in DATASETS}
    rows = [(f"cold, {COLD} evaluations", None, COLD), (f"cold, {WARM}", None, WARM)]
    rows += [(f"prior of {name}, {WARM}", name, WARM) for name in args.relaxations]
    for label, name, n in track(rows, "searches", console=console, disable=True):
        priors = (
            [Prior.from_json(SPACE, results[f"{name}-{seed}"]["prior"]) for seed in args.seeds]
            if name is not None
            else [None]
        )
        cells = [
            regret([priors[run % len(priors)] for run in range(args.runs)], dataset, n, scorer)
            for dataset, scorer in scorers.items()
        ]
        table.add_row(label, *cells)
    return table


def regret(priors: Sequence[Prior | None], dataset: str, n: int, scorer: Scorer) -> str:
    """Return mean and standard error of the regret after ``n`` evaluations, a run for a prior."""
    final: list[float] = []
    for seed, prior in enumerate(priors):
        job = Job("genetic", dataset, seed, n, 1)
        run = execute(
            job,
            lambda seed, space, prior=prior: GeneticSampler(seed=seed, space=space, prior=prior),
            None
            if prior is None
            else lambda study, prior=prior: warm_start(study, SPACE, prior, 1),
        )
        final.append(scorer.regret(run)[-1])
    error = np.std(final, ddof=1) / np.sqrt(len(final)) if len(final) > 1 else np.nan
    return f"{np.mean(final):.2f} ± {error:.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    args = parse(make_parser(), QUICK, arguments)
    console = make_console(110)
    torch.set_num_threads(args.threads)
    try:
        make_datamodule(args.data).setup("fit")
    except DataError as error:
        console.print(f"{error} The digits of scikit-learn stand in.")
        args.data = "digits"
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.output or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = measure_all(args, console, folder)
    console.print(found_table(results, args))
    console.print(rank_table(results, args))
    console.print(warm_table(results, args, console))


if __name__ == "__main__":
    main()
