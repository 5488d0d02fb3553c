"""``optuna-nas train``: one architecture, trained, tested once and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optuna_nas.cli._errors import CommandError
from optuna_nas.cli._finish import check_output
from optuna_nas.cli._finish import finish
from optuna_nas.cli._finish import Training
from optuna_nas.cli._interrupts import Interrupts
from optuna_nas.cli._runner import show_progress
from optuna_nas.cli._spaces import read_architecture


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
    """Train an architecture; see :func:`optuna_nas.cli._options.train_options`."""
    if epochs < 1:
        raise CommandError(f"Expected option --epochs to be at least 1 but got {epochs}.")
    check_output(Path(output))
    named, member = read_architecture(architecture, space, network)
    options = Training(named=named, data=data, **training)
    with Interrupts():
        finish(member, options, epochs=epochs, folder=Path(output), progress=show_progress())
    return 0
