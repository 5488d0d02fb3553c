"""``optuna-nas train``: one architecture, trained, tested once and saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from lightning_modules.search.settings import DataSettings
from lightning_modules.search.settings import Named
from lightning_modules.search.settings import TrainingSettings


@dataclass(kw_only=True)
class Options(DataSettings, TrainingSettings):
    """Train one architecture on all but the test data, test it once and save it.

    Args:
        architecture: String encoding of an architecture, e.g. C-C-S-O.
        space: The space of the architecture. By default the first named one that can read it.
        epochs: Number of epochs.
        output: Folder for the network.
        threads: CPU threads of this process.
    """

    architecture: str = field(metadata={"positional": True})
    space: Named = None
    epochs: int = 10
    output: str = "runs/train"
    threads: int = 1


def run(options: Options, data_settings: Mapping[str, Any]) -> int:
    """Train the architecture."""
    from lightning_modules.cli._commands import use_threads
    from lightning_modules.cli._reporter import Printer
    from lightning_modules.search.training import train_architecture
    from optuna_nas.studies.interrupts import Interrupts

    use_threads(options.threads)
    with Interrupts():
        train_architecture(
            options.architecture,
            options,
            space=options.space,
            epochs=options.epochs,
            output=options.output,
            training=options,
            data_settings=data_settings,
            reporter=Printer(),
        )
    return 0
