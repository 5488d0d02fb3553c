"""From the name of a command to what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lightning_modules.datamodules import DataError
from optuna_nas.cli._errors import CommandError
from optuna_nas.cli._predict import predict
from optuna_nas.cli._search import search
from optuna_nas.cli._show import show
from optuna_nas.cli._train import train


_COMMANDS: dict[str, Callable[..., int]] = {
    "search": search,
    "train": train,
    "show": show,
    "predict": predict,
}


def run(command: str, options: dict[str, Any]) -> int:
    """Run a command.

    Returns:
        The exit status.

    Raises:
        CommandError: If an option or the data is wrong; the message is for the user.
    """
    threads = options.pop("threads", 1)
    if threads < 1:
        raise CommandError(f"Expected option --threads to be at least 1 but got {threads}.")
    torch.set_num_threads(threads)
    try:
        return _COMMANDS[command](**options)
    except DataError as error:
        raise CommandError(str(error)) from error
