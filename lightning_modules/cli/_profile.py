"""``optuna-nas profile``: a latency table of a search space on this device."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from lightning_modules import LATENCY_TERMS
from lightning_modules import LatencyTable
from lightning_modules import profile_latency
from lightning_modules.cli._data import open_data
from lightning_modules.cli._errors import as_command_error
from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._spaces import named_space
from optuna_nas.studies.interrupts import Interrupts
from optuna_nas.studies.runner import show_progress


def profile(
    *,
    data: str,
    space: str,
    network: dict[str, int] | None,
    device: str,
    threads: int,
    batch_size: int,
    rounds: int,
    min_run_time: float,
    output: str,
) -> int:
    """Measure, save and print a table; see :func:`lightning_modules.cli._options.profile_options`."""
    named = named_space(space, network)
    if named.space.name not in LATENCY_TERMS:
        raise CommandError(
            f"Expected option --space to be a space of the kinds {', '.join(LATENCY_TERMS)} "
            f"but got {space!r}."
        )
    path = Path(output)
    _check_writable(path)
    module = open_data(data)
    named.builder(module.input_shape, module.num_classes)  # It says what is wrong in --network.
    try:
        with Interrupts():
            table = profile_latency(
                named.space,
                input_shape=module.input_shape,
                num_classes=module.num_classes,
                threads=threads,
                batch_size=batch_size,
                device=device,
                rounds=rounds,
                min_run_time=min_run_time,
                path=path,
                progress=show_progress(),
                **named.network,
            )
    except OSError as error:
        raise CommandError(
            f"Expected option --output to be a file to write but got {output!r}: {error.strerror}."
        ) from error
    except ValueError as error:
        raise as_command_error(error) from error
    _print(table, path)
    return 0


def _check_writable(path: Path) -> None:
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    if path.is_dir() or not parent.is_dir():
        raise CommandError(
            f"Expected option --output to be a file to write but got {str(path)!r}."
        )


def _print(table: LatencyTable, path: Path) -> None:
    """Print the cheapest and the dearest operation of each position."""
    by_position: dict[str, list[tuple[float, str]]] = {}
    for position, name in table.operations:  # From the images to the classes.
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
