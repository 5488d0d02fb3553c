"""Measuring a latency table: each candidate operation once, on the device at hand."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from datetime import UTC
import os
from pathlib import Path
import platform
import random
import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
import torch

from lightning_modules._checks import check_positive
from lightning_modules.costs.latency_table import LatencyTable
from lightning_modules.costs.measure import check_timing
from lightning_modules.costs.measure import Latency
from lightning_modules.costs.measure import time_forward
from lightning_modules.spaces import as_kit
from lightning_modules.spaces import Kit
from lightning_modules.tasks import Task
from optuna_nas import SearchSpace


_TOGETHER = 50
"""How many operations are measured in turns; so many an unexpected end may lose."""


def profile_latency(
    space: SearchSpace | str | Kit,
    *,
    task: Task,
    input_shape: tuple[int, int, int],
    kit: Kit | None = None,
    threads: int = 1,
    batch_size: int = 1,
    device: str = "cpu",
    rounds: int = 5,
    min_run_time: float = 0.01,
    path: str | Path | None = None,
    progress: bool | None = None,
    **network: Any,
) -> LatencyTable:
    """Measure each candidate operation at each position of a space's networks.

    The operations are the modules that the networks are made of, in evaluation mode. Equal ones
    (of the same sizes, with the same input) are measured once, in a random order, so that what
    else the machine does for a while does not fall on neighbouring operations. Each is measured
    in several short rounds with others between them; the one with the lowest median, which was
    disturbed least, counts.

    Args:
        space: A search space, a sub-space, a kit, or a name of
            :data:`~lightning_modules.registries.SPACES`; its kit needs latency terms.
        task: It brings the head.
        input_shape: (channels, height, width) of an image.
        kit: The kit; by default the one of the space.
        threads: Number of CPU threads.
        batch_size: Samples of a forward pass.
        device: Where to measure, e.g. ``"cpu"`` or ``"cuda"``.
        rounds: How often to measure each operation.
        min_run_time: Seconds of each round, after a warm-up of about as long.
        path: File to save the table in, also every few seconds. A table of the same space,
            network, device and settings that is there is continued.
        progress: Whether to show a progress bar; by default on a terminal outside of CI.
        network: Sizes of the space's backbone, e.g. ``channels``.

    Returns:
        A complete table.

    Raises:
        ValueError: If an argument is out of range, there is no table for such a space, or the
            file at ``path`` is something else.
    """
    check_positive("rounds", rounds)
    check_timing(batch_size, threads, min_run_time)
    kit = as_kit(space) if kit is None else kit
    space = space if isinstance(space, SearchSpace) else kit.make_space()
    table = LatencyTable(
        space.name,
        space.distributions,
        {"input_shape": input_shape, "task": task, **network},
        {
            **describe_device(device),
            "threads": threads,
            "batch_size": batch_size,
            "rounds": rounds,
            "min_run_time": min_run_time,
        },
        kit=kit,
    )
    if path is not None and Path(path).exists():
        table = _continued(table, Path(path), kit)
    if path is not None:
        table.save(path)  # Better an error now than after the measuring.
    names = sorted({name for _, name in table.missing()})
    random.Random(0).shuffle(names)
    with _progress_bar(progress) as bar:
        bar_task = bar.add_task("operations", total=len(names))
        for start in range(0, len(names), _TOGETHER):
            together = names[start : start + _TOGETHER]
            _measure(table, together)
            bar.advance(bar_task, len(together))
            if path is not None:
                table.save(path)
    return table


def _measure(table: LatencyTable, names: Sequence[str]) -> None:
    """Measure the named operations in turns and enter them wherever they are in a network."""
    settings = table.settings
    operations = {operation.name: operation for operation in table.operations.values()}
    found: dict[str, list[Latency]] = {name: [] for name in names}
    for _ in range(settings["rounds"]):
        for name in names:
            latency = time_forward(
                operations[name].make().to(settings["device"]),
                operations[name].input_shape,
                batch_size=settings["batch_size"],
                threads=settings["threads"],
                min_run_time=settings["min_run_time"],
            )
            found[name].append(latency)
    for name in names:  # Only now: a table has no operation that was measured in some rounds.
        table.record(name, min(found[name]))


def describe_device(device: str) -> dict[str, str]:
    """Return the device, its name, and the versions and the date to write beside a latency.

    Raises:
        ValueError: If there is no such device.
    """
    try:
        kind = torch.empty(0, device=device).device
    except (AssertionError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"Expected argument `device` to be a device like cpu or cuda but got {device!r} "
            f"({reason})."
        ) from error
    return {
        "device": device,
        "device_name": torch.cuda.get_device_name(kind) if kind.type == "cuda" else _processor(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _continued(table: LatencyTable, path: Path, kit: Kit) -> LatencyTable:
    """Return the table of the file if it is one of the same kind."""
    found = LatencyTable.load(path, kit=kit, task=type(table.task))
    pairs: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
        ("network", found.sizes, table.sizes),
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


def _progress_bar(progress: bool | None) -> Progress:
    if progress is None:
        progress = sys.stderr.isatty() and "CI" not in os.environ
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not progress,
    )
