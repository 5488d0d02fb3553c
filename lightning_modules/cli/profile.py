"""``optuna-nas profile``: a latency table of a search space on this device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import TYPE_CHECKING

from lightning_modules.search.settings import DataSettings
from lightning_modules.search.settings import Named


if TYPE_CHECKING:
    from lightning_modules.costs import LatencyTable


@dataclass(kw_only=True)
class Options(DataSettings):
    """Measure the latency of each candidate operation on this device, as a table for predictions.

    Args:
        space: A search space by name, or one of your own as MODULE:NAME or FILE.py:NAME.
        device: Where to measure: cpu, cuda, cuda:1, ...
        latency_batch_size: Samples of a forward pass.
        rounds: How often each operation is measured; the least disturbed time counts.
        min_run_time: Seconds of each measurement.
        output: File for the table, JSON. An unfinished table is continued.
        threads: CPU threads.
    """

    space: Named = "cell"
    device: str = "cpu"
    latency_batch_size: int = 1
    rounds: int = 5
    min_run_time: float = 0.01
    output: str = "latency.json"
    threads: int = 1


def run(options: Options, data_settings: Mapping[str, Any]) -> int:
    """Measure, save and print a table."""
    from lightning_modules.cli._commands import use_threads
    from lightning_modules.costs import profile_latency
    from lightning_modules.search._learning import Learning
    from optuna_nas.studies.interrupts import Interrupts
    from optuna_nas.studies.run import show_progress

    use_threads(options.threads)
    learning = Learning(options, options.space, data_settings)
    if learning.kit.latency_terms is None:
        raise ValueError(
            "Expected argument `space` to be a space whose latency is a sum over operations, as "
            f"the named ones are, but got {learning.space_name!r}."
        )
    path = Path(options.output)
    _check_writable(path)
    learning.set_up()
    if learning.task is None:
        raise ValueError("Expected no argument `module`, as a table is of networks with a head.")
    try:
        with Interrupts():
            table = profile_latency(
                learning.space,
                kit=learning.kit,
                task=learning.task,
                threads=options.threads,
                batch_size=options.latency_batch_size,
                device=options.device,
                rounds=options.rounds,
                min_run_time=options.min_run_time,
                path=path,
                progress=show_progress(),
                **learning.network,
            )
    except OSError as error:
        raise ValueError(
            f"Expected argument `output` to be a file to write but got {options.output!r}: "
            f"{error.strerror}."
        ) from error
    _print(table, path)
    return 0


def _check_writable(path: Path) -> None:
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    if path.is_dir() or not parent.is_dir():
        raise ValueError(
            f"Expected argument `output` to be a file to write but got {str(path)!r}."
        )


def _print(table: LatencyTable, path: Path) -> None:
    """Print the cheapest and the dearest operation of each position."""
    from rich.console import Console
    from rich.table import Table

    by_position: dict[str, list[tuple[float, str]]] = {}
    for position, name in table.operations:  # From the input to the output.
        entry = table.entries[position, name]
        by_position.setdefault(position, []).append((entry.median_ms, name))
    report = Table("position", title=f"Latency on {table.settings['device_name']} (ms)")
    report.add_column("operations", justify="right")
    for column in ("lowest", "highest"):
        report.add_column(column, justify="right")
    for position, operations in by_position.items():
        (low, _), (high, _) = min(operations), max(operations)
        report.add_row(position, str(len(operations)), f"{low:.4f}", f"{high:.4f}")
    Console().print(report)
    n_operations = len({name for _, name in table.entries})
    print(f"{n_operations} operations at {len(by_position)} positions: {path}")
