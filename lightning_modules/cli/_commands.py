"""From the name of a command to what it does."""

from __future__ import annotations

from collections.abc import Callable
import logging
from typing import Any

from lightning_modules.cli._errors import CommandError
from optuna_nas.benchmarks import is_benchmark_name


def run(command: str, options: dict[str, Any]) -> int:
    """Run a command; what it needs is imported now.

    Returns:
        The exit status.

    Raises:
        CommandError: If an option or the data is wrong; the message is for the user.
    """
    threads = options.pop("threads", 1)
    if threads < 1:
        raise CommandError(f"Expected option --threads to be at least 1 but got {threads}.")
    if command == "show":
        from lightning_modules.cli._show import show

        return show(**options)
    if command == "search" and is_benchmark_name(options["data"]):
        from lightning_modules.cli._benchmark import search_benchmark

        return search_benchmark(**options)
    return _run_with_torch(command, options, threads)


def _run_with_torch(command: str, options: dict[str, Any], threads: int) -> int:
    from pytorch_lightning.trainer.connectors import signal_connector
    import torch

    from lightning_modules.cli._predict import predict
    from lightning_modules.cli._profile import profile
    from lightning_modules.cli._search import search
    from lightning_modules.cli._supernet_command import supernet
    from lightning_modules.cli._train import train
    from lightning_modules.data import DataError

    torch.set_num_threads(threads)
    # It repeats each signal that ends a training.
    logging.getLogger(signal_connector.__name__).setLevel(logging.WARNING)
    if command == "profile":
        options["threads"] = threads
    commands: dict[str, Callable[..., int]] = {
        "profile": profile,
        "search": search,
        "supernet": supernet,
        "train": train,
        "predict": predict,
    }
    try:
        return commands[command](**options)
    except DataError as error:
        raise CommandError(str(error)) from error
