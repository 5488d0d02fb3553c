"""Measuring a latency table: each candidate operation once, on the device at hand."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import datetime
from datetime import UTC
import os
from pathlib import Path
import platform
import random
import sys
import time
from typing import Any
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
import torch

from lightning_modules.cost_metrics import Latency
from lightning_modules.cost_metrics import time_forward
from lightning_modules.latency_table import LatencyTable
from lightning_modules.latency_terms import Operation
from optuna_nas import SearchSpace


T = TypeVar("T")

_SAVE_SECONDS = 5.0
"""How much of the measuring an unexpected end may lose."""


def profile_latency(
    space: SearchSpace,
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    threads: int = 1,
    batch_size: int = 1,
    device: str = "cpu",
    min_run_time: float = 0.05,
    path: str | Path | None = None,
    progress: bool | None = None,
    **network: Any,
) -> LatencyTable:
    """Measure each candidate operation at each position of a space's networks.

    The operations are the modules that the space's builder makes, in evaluation mode. Equal ones
    (sizes and shape of the input) are measured once, in a random order, so that what else happens
    on the machine for a while does not fall on neighbouring operations.

    Args:
        space: A :class:`~optuna_nas.MobileSpace`, :class:`~optuna_nas.CellSpace`,
            :class:`~optuna_nas.ChainSpace` or :class:`~optuna_nas.DartsSpace`, or a sub-space.
        input_shape: (channels, height, width) of an image.
        num_classes: Number of logits.
        threads: Number of CPU threads.
        batch_size: Samples of a forward pass.
        device: Where to measure, e.g. ``"cpu"`` or ``"cuda"``.
        min_run_time: Seconds to measure each operation for, after a warm-up of about as long.
        path: File to save the table in, every few seconds and at the end, also if interrupted. A
            table of the same space, network, device and settings that is there is continued.
        progress: Whether to show a progress bar; by default on a terminal outside of CI.
        network: Further arguments of the space's builder, e.g. ``channels``.

    Returns:
        A complete table.

    Raises:
        ValueError: If an argument is out of range, there is no table for such a space, or the
            file at ``path`` is something else.
    """
    table = LatencyTable(
        space.name,
        space.distributions,
        {"input_shape": input_shape, "num_classes": num_classes, **network},
        describe_device(device, threads=threads, batch_size=batch_size),
    )
    if path is not None and Path(path).exists():
        table = _continued(table, Path(path))
    by_name: dict[str, list[tuple[str, str]]] = {}
    for place in table.operations:
        by_name.setdefault(place[1], []).append(place)
    unmeasured = {place[1] for place in table.missing()}
    names = sorted(unmeasured)
    random.Random(0).shuffle(names)
    saved = time.monotonic()
    try:
        for name in _tracked(names, progress):
            places = by_name[name]
            known = next((table.entries[p] for p in places if p in table.entries), None)
            latency = known or _measure(
                table.operations[places[0]],
                device,
                batch_size=batch_size,
                threads=threads,
                min_run_time=min_run_time,
            )
            table.entries.update(dict.fromkeys(places, latency))
            if path is not None and time.monotonic() - saved > _SAVE_SECONDS:
                table.save(path)
                saved = time.monotonic()
    finally:
        if path is not None:
            table.save(path)
    return table


def describe_device(device: str, *, threads: int = 1, batch_size: int = 1) -> dict[str, Any]:
    """Return what a table says about how it was measured: device, settings, versions, date."""
    kind = torch.device(device)
    name = torch.cuda.get_device_name(kind) if kind.type == "cuda" else _processor()
    return {
        "device": device,
        "device_name": name,
        "threads": threads,
        "batch_size": batch_size,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _measure(operation: Operation, device: str, **settings: Any) -> Latency:
    network = operation.make().to(device)
    return time_forward(network, operation.input_shape, **settings)


def _continued(table: LatencyTable, path: Path) -> LatencyTable:
    """Return the table of the file if it is one of the same kind."""
    found = LatencyTable.load(path)
    pairs: Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
        ("network", found.network, table.network),
        ("decisions", found.distributions, table.distributions),
        ("settings", _undated(found.settings), _undated(table.settings)),
    ]
    for what, there, here in pairs:
        different = sorted(key for key in {*there, *here} if there.get(key) != here.get(key))
        if different or found.space != table.space:
            raise ValueError(
                f"Expected {path} to be a new file or a latency table to continue but got one of "
                f"other {what} ({', '.join(different) or found.space})."
            )
    return found


def _undated(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "date"}


def _processor() -> str:
    """Return the model of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _tracked(items: list[T], progress: bool | None) -> Iterator[T]:
    if progress is None:
        progress = sys.stderr.isatty() and "CI" not in os.environ
    if not progress:
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        yield from bar.track(items, description="operations")
