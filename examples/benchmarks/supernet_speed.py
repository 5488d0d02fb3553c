"""Seconds and memory of a search step of each relaxation, beside those of training one path.

    python examples/benchmarks/supernet_speed.py
    python examples/benchmarks/supernet_speed.py --device cuda --precision bf16
    python examples/benchmarks/supernet_speed.py --quick

A search step is what ``SupernetModule`` does with a batch: an architecture step, if the relaxation
learns, and a weight step, each with its optimizer's. All relaxations take turns in one process, on
the supernet of ``CellSpace``; the one that needs ordered choices, ``ofa``, on that of
``MobileSpace.small()``. Times are medians of the repeats after a warm-up, in brackets the
quartiles.

The ratio is that of the weight step to one trained path. Where a step trains paths, each of them
is also built as a single network and trained on the same batch right after (forward, backward,
SGD); the ratio to the sum of these is taken step by step and averaged. A mixture of all choices is
compared with the mean of random cells. Target: at most 1.3 where paths are trained.

Peak memory is that of weights, buffers, optimizer states and batches, and the most that a step
allocates beside: on a GPU as CUDA's allocator counts it, else as PyTorch's profiler does.

On a GPU the speed of one 8-cell DARTS supernet with 16 channels on 64 images of 3x32x32 in
bfloat16 comes last.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
import os
from typing import Any

from _script import make_console
from _script import parse
from _supernet_steps import Machine
from _supernet_steps import Search
from _supernet_steps import Singles
from jsonargparse import ArgumentParser
from jsonargparse import Namespace
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
import torch

from lightning_modules import measure_peak_allocation_mb
from lightning_modules.supernet.relaxations import RELAXATIONS
from lightning_modules.supernet.relaxations import Samples
from optuna_nas import CellSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace


QUICK = {"batch_size": 4, "channels": 4, "paths": 2, "repeats": 2, "threads": 1}
FINITE = "by finite differences"
ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{name: (name, {}) for name in RELAXATIONS},
    FINITE: ("darts-second-order", {"method": "finite-difference"}),
}
"""Rows of the table: a relaxation and its arguments."""
SINGLE_PATHS = ("spos", "fairnas", "gdas")
TARGET = 1.3

Times = dict[str, np.ndarray]
"""Seconds of ``"architecture"`` and ``"weights"`` steps and of the ``"single"`` networks of their
paths together, of shape (repeats, steps)."""


def make_parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--relaxations", nargs="+", choices=list(ROWS), default=list(ROWS), help="rows")
    add("--device", default="cpu", help="e.g. cuda")
    add("--channels", type=int, default=8)
    add("--cells-per-stage", type=int, default=1)
    add("--batch-size", type=int, default=96)
    add("--precision", choices=["float32", "bf16"], default="float32")
    add("--threads", type=int, default=2)
    add("--paths", type=int, default=10, help="least number of single networks per relaxation")
    add("--repeats", type=int, default=10)
    add("--quick", action="store_true", help=f"a small run that proves nothing: {QUICK}")
    return parser


def make_searches(batches: tuple[Samples, Samples], args: Namespace) -> dict[str, Search]:
    """Return the supernets of the rows."""
    cell = {"channels": args.channels, "cells_per_stage": args.cells_per_stage}
    return {
        label: Search(MobileSpace.small(), name, arguments, batches)
        if name == "ofa"
        else Search(CellSpace(), name, arguments, batches, **cell)
        for label, (name, arguments) in ROWS.items()
        if label in (*args.relaxations, "spos")  # Its paths are the random cells.
    }


def number_of_steps(search: Search, n_paths: int) -> int:
    """Return how many different steps train so many paths; one if it is a mixture."""
    per_step = len(search.paths(0))
    return -(-n_paths // per_step) if per_step else 1


def measure(
    searches: Mapping[str, Search],
    machine: Machine,
    singles: Singles,
    args: Namespace,
    console: Console,
) -> dict[str, Times]:
    """Time all rows in turns."""
    times: dict[str, Times] = {}
    for label, search in searches.items():
        shape = (args.repeats, number_of_steps(search, args.paths))
        times[label] = {what: np.zeros(shape) for what in ("architecture", "weights", "single")}
    rounds = range(-1, args.repeats)  # The warm-up, at -1, is overwritten by the last.
    for repeat in track(rounds, "repeats", console=console, disable=not console.is_terminal):
        for label, search in searches.items():
            own = times[label]
            for step in range(own["weights"].shape[1]):
                if search.relaxation.learns:
                    own["architecture"][repeat, step] = machine.seconds(
                        partial(search.architecture_step, step)
                    )
                own["weights"][repeat, step] = machine.seconds(partial(search.weight_step, step))
                own["single"][repeat, step] = sum(
                    machine.seconds(singles.step(search, path)) for path in search.paths(step)
                )
    return times


def ratio_to_paths(own: Times, mean_single: float) -> np.ndarray:
    """Return each step's ratio of the weight step to the training of its paths.

    Both were timed one after the other, and the paths may change as the relaxation learns, so it
    is the median of the repeats' ratios.
    """
    single = np.where(own["single"] > 0, own["single"], mean_single)
    return np.asarray(np.median(own["weights"] / single, axis=0))


def peak_mb(search: Search, machine: Machine, n_steps: int) -> float:
    """Return the largest peak memory of the steps."""
    peaks = []
    for step in range(n_steps):
        resident = search.resident_mb()
        run = partial(machine.run, partial(search.step, step))
        peaks.append(resident + measure_peak_allocation_mb(run, machine.device))
    return max(peaks)


def single_peak_mb(search: Search, singles: Singles, machine: Machine, n_steps: int) -> float:
    """Return the largest peak memory of the single networks."""
    peaks = []
    for path in [path for step in range(n_steps) for path in search.paths(step)]:
        resident = singles.resident_mb(search, path)
        run = partial(machine.run, singles.step(search, path))
        peaks.append(resident + measure_peak_allocation_mb(run, machine.device))
    return max(peaks)


def shown_ms(seconds: np.ndarray) -> str:
    """Return median and quartiles over the repeats of the mean over the steps."""
    low, middle, high = 1e3 * np.quantile(seconds.mean(axis=1), [0.25, 0.5, 0.75])
    return f"{middle:.1f} [{low:.1f} {high:.1f}]"


def report(
    searches: Mapping[str, Search],
    times: Mapping[str, Times],
    machine: Machine,
    singles: Singles,
    console: Console,
) -> None:
    """Print the table and the lines below it."""
    cells, trained = searches["spos"], times["spos"]["single"]
    mean_single = float(np.median(trained.mean(axis=1)))
    table = Table()
    for column in ("relaxation", "paths", "weight step ms", "whole step ms", "ratio", "peak MB"):
        table.add_column(column, justify="left" if column == "relaxation" else "right")
    peak = single_peak_mb(cells, singles, machine, trained.shape[1])
    table.add_row("one trained path", "1", shown_ms(trained), "", "1", f"{peak:.1f}")
    ratios: dict[str, np.ndarray] = {}
    for label, search in searches.items():
        own = times[label]
        ratios[label] = ratio_to_paths(own, mean_single)
        whole, n_steps = own["weights"] + own["architecture"], own["weights"].shape[1]
        table.add_row(
            label,
            str(len(search.paths(0)) or "all"),
            shown_ms(own["weights"]),
            shown_ms(whole),
            f"{ratios[label].mean():.2f}",
            f"{peak_mb(search, machine, n_steps):.1f}",
        )
    console.print(table)
    whole_ms = {n: np.median((t["weights"] + t["architecture"]).mean(1)) for n, t in times.items()}
    for label, what in [("darts-second-order", "exact"), (FINITE, FINITE)]:
        if {label, "darts"} <= set(searches):
            factor = whole_ms[label] / whole_ms["darts"]
            console.print(f"Second-order DARTS, {what}: {factor:.2f} times first-order DARTS.")
    on_paths = [label for label in SINGLE_PATHS if label in searches]
    worst = max(on_paths, key=lambda label: float(ratios[label].mean()))
    console.print(
        f"Worst single-path ratio: {ratios[worst].mean():.2f} ({worst}; of its steps "
        f"{ratios[worst].min():.2f} to {ratios[worst].max():.2f}); the target is at most {TARGET}."
    )


def report_darts(machine: Machine, repeats: int, console: Console) -> None:
    """Print the speed of the DARTS supernet of the issue."""
    shape = (3, 32, 32)
    machine = Machine(str(machine.device), bf16=True)
    batches = (machine.batch(64, shape, 0), machine.batch(64, shape, 1))
    search = Search(DartsSpace(), "darts", {}, batches, channels=16, cells=8)
    steps = partial(search.step, 0)
    for _ in range(3):
        machine.seconds(steps)
    seconds = float(np.median([machine.seconds(steps) for _ in range(5 * repeats)]))
    console.print(
        f"DARTS supernet, 8 cells, 16 channels, batch of 64 at 3x32x32, bfloat16, first order: "
        f"{1 / seconds:.2f} search steps per second."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    args = parse(make_parser(), QUICK, arguments)
    console = make_console(110)
    torch.set_num_threads(args.threads)
    machine = Machine(args.device, args.precision == "bf16")
    shape = (1, 28, 28)
    batches = (machine.batch(args.batch_size, shape, 0), machine.batch(args.batch_size, shape, 1))
    singles = Singles(batches[1])
    load = os.getloadavg()[0]
    where = torch.cuda.get_device_name() if machine.device.type == "cuda" else "CPU"
    console.print(
        f"{where}, torch {torch.__version__}, {args.threads} threads, load {load:.1f}; "
        f"{args.channels} channels, {args.cells_per_stage} cells per stage, batch of "
        f"{args.batch_size}, {args.precision}, {args.repeats} repeats"
    )
    searches = make_searches(batches, args)
    times = measure(searches, machine, singles, args, console)
    report(searches, times, machine, singles, console)
    if machine.device.type == "cuda":
        report_darts(machine, args.repeats, console)


if __name__ == "__main__":
    main()
