"""Whether the weights of a supernet make a short training a better judge of architectures.

    python examples/benchmarks/inherited_weights.py --output inherited.jsonl
    python examples/benchmarks/inherited_weights.py --supernet supernet.pt --seeds 1 2 3
    python examples/benchmarks/inherited_weights.py --quick

Random cells of different functions, of the small network of the supernet stage (8 channels, one
cell a stage), are trained from scratch for 5 epochs. Spearman's correlation with these validation
accuracies is printed for those after 1 epoch from scratch, after 1 epoch from the weights of the
supernet, and with the weights of the supernet and no training at all, where normalisation is
recalibrated and 2,000 images are scored. The standard errors are by bootstrap over the cells.

Each seed has a supernet of its own, unless a file is given, and trainings of its own, the
reference has seed 0; correlations are means over the seeds. With ``--output`` a run that was
killed goes on where it stopped, also in the supernet stage, and more cells or seeds can be added.
Where Fashion-MNIST is not installed, the digits of scikit-learn stand in.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
import json
from pathlib import Path
import tempfile
import time
from typing import Any
import warnings

from _script import make_console
from _script import parse
from jsonargparse import ArgumentParser
from jsonargparse import Namespace
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import ConstantInputWarning
from scipy.stats import spearmanr
import torch

from lightning_modules import TrainingEvaluator
from lightning_modules.data import DataError
from lightning_modules.data import ImageDataModule
from lightning_modules.data import make_datamodule
from lightning_modules.supernet import DEFAULT_RELAXATION
from lightning_modules.supernet import load_supernet
from lightning_modules.supernet import StageSettings
from lightning_modules.supernet import Supernet
from lightning_modules.supernet import SUPERNET_FILE
from lightning_modules.supernet import SupernetEvaluator
from lightning_modules.supernet import SupernetStage
from lightning_modules.supernet.relaxations import RELAXATIONS
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import Evaluator


QUICK = {
    "cells": 4,
    "data": "digits",
    "channels": 4,
    "supernet_epochs": 1,
    "reference_epochs": 2,
    "threads": 1,
}
SPACE = CellSpace()
CELL_SEED = 20
REFERENCE = "reference, from scratch"
SCRATCH = "from scratch"
INHERITED = "from inherited weights"
SCORED = "inherited weights, no training"
RESAMPLED = 2000


def make_parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--cells", type=int, default=20)
    add("--seeds", nargs="+", type=int, default=[1], help="of supernets and short trainings")
    add("--data", choices=["fashion-mnist", "digits"], default="fashion-mnist")
    add("--train-fraction", type=float, default=1.0, help="of the training split, for everything")
    add("--reference-epochs", type=int, default=5)
    add("--epochs", type=int, default=1, help="of the short trainings")
    add("--channels", type=int, default=8)
    add("--supernet", type=Path, help="file of a trained supernet of the cell space")
    add("--relaxation", choices=list(RELAXATIONS), default=DEFAULT_RELAXATION)
    add("--supernet-epochs", type=int, help="by default those of the relaxation")
    add("--accelerator", default="auto")
    add("--threads", type=int, default=2)
    add("--output", type=Path, help="JSON lines of all measurements; supernets go beside it")
    add("--quick", action="store_true", help=f"a small run for a first look: {QUICK}")
    return parser


class Results:
    """Measurements in a file of JSON lines, of which the first has the settings.

    Raises:
        SystemExit: If the file is of other settings.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path = path
        self._found: dict[tuple[str, int, str], dict[str, Any]] = {}
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        lines = [line for line in lines if line.endswith("\n")]  # All but one cut short.
        if not lines:
            lines = [json.dumps({"settings": settings}) + "\n"]
        path.write_text("".join(lines))
        if json.loads(lines[0])["settings"] != settings:
            raise SystemExit(f"{path} is of a run with other settings: {lines[0]}")
        for line in map(json.loads, lines[1:]):
            self._found[line["method"], line["seed"], line["cell"]] = line

    def add(self, method: str, seed: int, cell: Architecture, evaluate: Evaluator) -> None:
        """Evaluate a cell and append its line, unless it is there."""
        text = SPACE.to_string(cell)
        if (method, seed, text) in self._found:
            return
        started = time.perf_counter()
        accuracy = evaluate(cell).metrics["val_accuracy"]
        line = {"method": method, "seed": seed, "cell": text, "val_accuracy": accuracy}
        line["seconds"] = time.perf_counter() - started
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._found[method, seed, text] = line

    def values(self, what: str, method: str, seed: int, cells: Sequence[str]) -> np.ndarray:
        """Return ``"val_accuracy"`` or ``"seconds"`` of the cells."""
        return np.array([self._found[method, seed, cell][what] for cell in cells])


def draw_cells(n: int) -> list[Architecture]:
    """Return random cells that compute different functions."""
    rng = np.random.default_rng(CELL_SEED)
    cells: dict[str, Architecture] = {}
    while len(cells) < n:
        cell = SPACE.sample(rng)
        cells.setdefault(SPACE.canonical_key(cell), cell)
    return list(cells.values())


def get_supernet(data: ImageDataModule, seed: int, folder: Path, args: Namespace) -> Supernet:
    """Read or train the supernet of a seed; a stage that was killed goes on."""
    path = args.supernet or folder / SUPERNET_FILE
    if not path.is_file():
        SupernetStage(
            space=SPACE,
            datamodule=data,
            # Its prior is of no use here.
            settings=StageSettings(args.relaxation, args.supernet_epochs, paths=2),
            network={"channels": args.channels, "cells_per_stage": 1},
            folder=folder,
            seed=seed,
            accelerator=args.accelerator,
        ).run()
    return load_supernet(path, SPACE)


def measure(
    results: Results,
    cells: Sequence[Architecture],
    data: ImageDataModule,
    folder: Path,
    args: Namespace,
    console: Console,
) -> None:
    """Measure all that the results do not hold."""
    for seed in args.seeds:
        started = time.perf_counter()
        supernet = get_supernet(data, seed, folder / f"supernet-{seed}", args)
        console.print(f"Supernet, seed {seed}: {time.perf_counter() - started:.0f} s.")
        train = partial(TrainingEvaluator, supernet.build, data, accelerator=args.accelerator)
        short = partial(train, max_epochs=args.epochs, seed=seed)
        jobs: list[tuple[str, int, Evaluator]] = [
            (SCORED, seed, SupernetEvaluator.from_data(supernet, data)),
            (INHERITED, seed, short(inherit_weights=supernet)),
            (SCRATCH, seed, short()),
            (REFERENCE, 0, train(max_epochs=args.reference_epochs, seed=0)),
        ]
        for method, own_seed, evaluate in jobs:
            for cell in track(cells, method, console=console, disable=not console.is_terminal):
                results.add(method, own_seed, cell, evaluate)


def spearman(accuracies: np.ndarray, reference: np.ndarray) -> float:
    """Return the mean over seeds of Spearman's correlation.

    Args:
        accuracies: Shape (seeds, cells).
        reference: Shape (cells,).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        return float(np.mean([spearmanr(row, reference).statistic for row in accuracies]))


def report(results: Results, cells: Sequence[str], args: Namespace) -> Table:
    """Return the table of correlations, with standard errors."""
    methods = (SCRATCH, INHERITED, SCORED)
    reference = results.values("val_accuracy", REFERENCE, 0, cells)
    accuracies = {
        method: np.array([results.values("val_accuracy", method, s, cells) for s in args.seeds])
        for method in methods
    }
    rng = np.random.default_rng(0)
    drawn = [rng.integers(len(cells), size=len(cells)) for _ in range(RESAMPLED)]
    resampled = {
        method: np.array([spearman(rows[:, i], reference[i]) for i in drawn])
        for method, rows in accuracies.items()
    }
    table = Table(
        title=f"{len(cells)} cells, {args.data}, epochs: {args.epochs}; reference: "
        f"{args.reference_epochs} epochs from scratch; seeds {args.seeds}"
    )
    for column in ("training", "Spearman", "above from scratch", "mean accuracy", "s per cell"):
        table.add_column(column, justify="left" if column == "training" else "right")
    for method, rows in accuracies.items():
        own, base = spearman(rows, reference), spearman(accuracies[SCRATCH], reference)
        error = np.nanstd(resampled[method])
        difference = np.nanstd(resampled[method] - resampled[SCRATCH])
        seconds = np.mean([results.values("seconds", method, s, cells) for s in args.seeds])
        table.add_row(
            method,
            f"{own:.3f} ± {error:.3f}",
            "" if method == SCRATCH else f"{own - base:+.3f} ± {difference:.3f}",
            f"{rows.mean():.4f}",
            f"{seconds:.2f}",
        )
    seconds = results.values("seconds", REFERENCE, 0, cells).mean()
    table.add_row(REFERENCE, "1", "", f"{reference.mean():.4f}", f"{seconds:.2f}")
    return table


@contextmanager
def output(args: Namespace) -> Iterator[tuple[Path, Path]]:
    """Yield the file of the results and the folder of the supernets."""
    with tempfile.TemporaryDirectory() as temporary:
        path = args.output or Path(temporary, "results.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path, path.with_suffix(".supernets")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    args = parse(make_parser(), QUICK, arguments)
    console = make_console(110)
    torch.set_num_threads(args.threads)
    data = make_datamodule(args.data, train_fraction=args.train_fraction)
    try:
        data.setup("fit")
    except DataError as error:
        console.print(f"{error} The digits of scikit-learn stand in.")
        args.data = "digits"
        data = make_datamodule(args.data, train_fraction=args.train_fraction)
        data.setup("fit")
    names = ("data", "train_fraction", "reference_epochs", "epochs", "channels", "relaxation")
    settings = {name: args[name] for name in (*names, "supernet_epochs")}
    settings["supernet"] = str(args.supernet) if args.supernet else None
    cells = draw_cells(args.cells)
    with output(args) as (path, folder):
        results = Results(path, settings)
        measure(results, cells, data, folder, args, console)
    console.print(report(results, list(map(SPACE.to_string, cells)), args))


if __name__ == "__main__":
    main()
