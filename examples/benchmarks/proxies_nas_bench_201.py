"""How well zero-cost proxies foretell the accuracies of NAS-Bench-201, and how fast they are.

    python examples/benchmarks/proxies_nas_bench_201.py --output proxies.json
    python examples/benchmarks/proxies_nas_bench_201.py --images noise --proxies synflow naswot
    python examples/benchmarks/proxies_nas_bench_201.py --quick

Random cells are built untrained, at the published size and at a reduced one, and scored on one
batch. The table has Spearman's correlation of the scores with the published CIFAR-10 validation
accuracy, the mean of the training runs, and how many cells are scored per second, building
included. Fashion-MNIST stands in for CIFAR-10, its images in three equal channels and padded to
32x32; where it is not installed, the digits of scikit-learn, four times as large. Needs
``pip install 'optuna-nas[benchmarks]'``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
import time
import warnings

from _script import make_console
from _script import parse
from _script import read
from _script import write
from jsonargparse import ArgumentParser
from jsonargparse import Namespace
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import ConstantInputWarning
from scipy.stats import spearmanr
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules import build_cell_backbone
from lightning_modules import Classification
from lightning_modules import PROXIES
from lightning_modules import rank_aggregate
from lightning_modules import vote_aggregate
from lightning_modules.data import DataError
from lightning_modules.data import make_datamodule
from optuna_nas import Architecture
from optuna_nas.benchmarks import NASBench201


QUICK = {"cells": 6, "images": "digits", "batch_size": 8, "threads": 1}
SIZE = 32
PUBLISHED = {"channels": 16, "cells_per_stage": 5}
AGGREGATES: list[tuple[Callable[..., np.ndarray], tuple[str, ...]]] = [
    (vote_aggregate, ("synflow", "jacob-cov", "snip")),  # The best vote of Abdelfattah et al.
    (rank_aggregate, ("synflow", "jacob-cov", "snip")),
    (rank_aggregate, ("synflow", "jacob-cov")),
    (rank_aggregate, ("synflow", "naswot")),
    (rank_aggregate, ("synflow", "naswot", "jacob-cov")),
    (rank_aggregate, ("synflow", "naswot", "params")),
]
"""Named before anything was measured."""

Measurements = dict[str, dict[str, dict[str, tuple[float, float]]]]
"""By network, cell and proxy the score and the seconds; ``build`` has seconds alone."""


def make_parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--cells", type=int, default=500, help="different cells, drawn at random")
    add("--seed", type=int, default=0, help="of the cells, the weights and the batch")
    add("--proxies", nargs="+", choices=list(PROXIES), default=list(PROXIES))
    add("--images", choices=["fashion-mnist", "digits", "noise"], default="fashion-mnist")
    add("--batch-size", type=int, default=64)
    add("--threads", type=int, default=2)
    add("--channels", type=int, default=4, help="of the reduced network; published are 16")
    add("--cells-per-stage", type=int, default=1, help="of the reduced network; published are 5")
    add("--output", type=Path, help="JSON of all scores; what is there already is not repeated")
    add("--quick", action="store_true", help=f"a small run for a first look: {QUICK}")
    return parser


def draw_batch(images: str, batch_size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return images (batch, 3, 32, 32) and labels (batch,), the same for the same seed."""
    if images == "noise":
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(10, (batch_size,), generator=generator)
        return torch.randn(batch_size, 3, SIZE, SIZE, generator=generator), labels
    datamodule = make_datamodule(images, batch_size=batch_size, seed=seed)
    small, labels = next(iter(datamodule.train_dataloader()))
    large = F.interpolate(small, scale_factor=SIZE // small.shape[-1])
    border = (SIZE - large.shape[-1]) // 2
    padded = F.pad(large, (border,) * 4, value=float(small.min()))
    return padded.repeat(1, 3, 1, 1), labels


def measure(
    cell: Architecture,
    sizes: Mapping[str, int],
    batch: tuple[Tensor, Tensor],
    names: Sequence[str],
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Return the score and the seconds of each proxy for the network of a cell."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    task = Classification(10)
    network = task.network(build_cell_backbone(cell, input_shape=(3, SIZE, SIZE), **sizes))
    measured = {"build": (0.0, time.perf_counter() - started)}
    for name in names:
        started = time.perf_counter()
        score = PROXIES.get(name)(network, *batch, task.loss)
        measured[name] = (score, time.perf_counter() - started)
    return measured


def measure_all(
    cells: Mapping[str, Architecture],
    networks: Mapping[str, Mapping[str, int]],
    args: Namespace,
    console: Console,
) -> Measurements:
    """Measure all cells, and write them to the output now and then."""
    batch = draw_batch(args.images, args.batch_size, args.seed)
    settings = {
        "seed": args.seed,
        "images": args.images,
        "batch_size": args.batch_size,
        "threads": args.threads,
        "networks": networks,
    }
    measured: Measurements = read(args.output, settings, "measured")
    jobs = [(network, text) for network in networks for text in cells]
    for i, (network, text) in enumerate(
        track(jobs, "cells", console=console, disable=not console.is_terminal), start=1
    ):
        found = measured.setdefault(network, {}).setdefault(text, {})
        missing = [name for name in args.proxies if name not in found]
        if missing:
            found |= measure(cells[text], networks[network], batch, missing, args.seed)
        if args.output is not None and (i % 20 == 0 or i == len(jobs)):
            write(args.output, {"settings": settings, "measured": measured})
    return measured


def spearman(scores: Sequence[float] | np.ndarray, accuracies: np.ndarray) -> float:
    """Return Spearman's rank correlation, NaN if all scores are the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        return float(spearmanr(scores, accuracies).statistic)


def summarise(
    measured: Sequence[Mapping[str, tuple[float, float]]],
    names: Sequence[str],
    accuracies: np.ndarray,
) -> dict[str, tuple[float, float]]:
    """Return correlation and cells per second, of each proxy and of each aggregate of them."""
    scores = {name: [row[name][0] for row in measured] for name in names}
    seconds = {name: np.mean([row[name][1] for row in measured]) for name in (*names, "build")}
    rows = {}
    for name in names:
        speed = 1 / (seconds["build"] + seconds[name])
        rows[name] = (spearman(scores[name], accuracies), speed)
    for aggregate, members in AGGREGATES:
        if set(members) <= set(names):
            values = aggregate({name: scores[name] for name in members})
            speed = 1 / (seconds["build"] + sum(seconds[name] for name in members))
            kind = "vote" if aggregate is vote_aggregate else "ranks"
            rows[f"{kind} of {', '.join(members)}"] = (spearman(values, accuracies), speed)
    return rows


def make_table(summaries: Mapping[str, Mapping[str, tuple[float, float]]], title: str) -> Table:
    """Return the table of all proxies and networks; the first network is the published one."""
    table = Table(title=title)
    table.add_column("proxy")
    for network in summaries:
        table.add_column(f"{network}: Spearman", justify="right")
        table.add_column("cells/s", justify="right")
    table.add_column("loss", justify="right")
    published, reduced = summaries.values()
    for name in published:
        (correlation, speed), (correlation_reduced, speed_reduced) = published[name], reduced[name]
        table.add_row(
            name,
            f"{correlation:.3f}",
            f"{speed:.1f}",
            f"{correlation_reduced:.3f}",
            f"{speed_reduced:.1f}",
            f"{correlation - correlation_reduced:.3f}",
        )
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    args = parse(make_parser(), QUICK, arguments)
    console = make_console(120)
    torch.set_num_threads(args.threads)
    if args.images == "fashion-mnist" and not fashion_mnist_is_there():
        console.print("Fashion-MNIST is not installed: digits instead.")
        args.images = "digits"
    benchmark = NASBench201("cifar10", accuracy_seed="mean")
    rng = np.random.default_rng(args.seed)
    rows = rng.permutation(benchmark.space.size)[: args.cells]  # More cells begin with the same.
    drawn = [benchmark.space.architecture_at(int(row)) for row in rows]
    cells = {benchmark.space.to_string(cell): cell for cell in drawn}
    accuracies = benchmark.metrics["val_accuracy"][rows]
    reduced = {"channels": args.channels, "cells_per_stage": args.cells_per_stage}
    networks = {"published": PUBLISHED, "reduced": reduced}
    measured = measure_all(cells, networks, args, console)
    summaries = {
        network: summarise([measured[network][text] for text in cells], args.proxies, accuracies)
        for network in networks
    }
    title = (
        f"{args.cells} cells, {args.images}, batch of {args.batch_size}, seed {args.seed}, "
        f"{args.threads} threads; reduced: {args.channels} channels, "
        f"{args.cells_per_stage} cells per stage"
    )
    console.print(make_table(summaries, title))


def fashion_mnist_is_there() -> bool:
    """Return whether the Debian package with the data is installed."""
    try:
        make_datamodule("fashion-mnist").setup("fit")
    except DataError:
        return False
    return True


if __name__ == "__main__":
    main()
