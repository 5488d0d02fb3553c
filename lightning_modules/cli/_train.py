"""``optuna-nas train``: one architecture, trained, tested once and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._finish import check_output
from lightning_modules.cli._finish import finish
from lightning_modules.cli._finish import Training
from lightning_modules.cli._spaces import read_architecture
from optuna_nas.studies.interrupts import Interrupts
from optuna_nas.studies.runner import show_progress


def train(
    *,
    architecture: str,
    data: str,
    space: str | None,
    epochs: int,
    output: str,
    network: dict[str, int] | None,
    **training: Any,
) -> int:
    """Train an architecture; see :func:`lightning_modules.cli._options.train_options`."""
    if epochs < 1:
        raise CommandError(f"Expected option --epochs to be at least 1 but got {epochs}.")
    check_output(Path(output))
    named, member = read_architecture(architecture, space, network)
    options = Training(named=named, data=data, **training)
    with Interrupts():
        finish(member, options, epochs=epochs, folder=Path(output), progress=show_progress())
    return 0
