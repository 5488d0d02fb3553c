"""The commands: one file each, with the options as a dataclass and a function that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
import importlib
from types import ModuleType
from typing import Any

from lightning_modules.cli._errors import as_command_error
from lightning_modules.cli._errors import CommandError


COMMANDS = ("search", "supernet", "train", "show", "profile", "predict")
"""Names of the commands; each is a module of this package."""


def module_of(command: str) -> ModuleType:
    """Return the module of a command, which imports nothing heavy before it runs."""
    return importlib.import_module(f"lightning_modules.cli.{command}")


def run(command: str, values: Mapping[str, Any]) -> int:
    """Run a command.

    Args:
        command: Of :data:`COMMANDS`.
        values: The options by name: those of the command, and of the data.

    Returns:
        The exit status.

    Raises:
        CommandError: If an option or the data is wrong; the message is for the user.
    """
    module = module_of(command)
    known = {field.name for field in fields(module.Options)}
    options = module.Options(**{name: v for name, v in values.items() if name in known})
    others = {name: value for name, value in values.items() if name not in known}
    threads = getattr(options, "threads", 1)
    if threads < 1:
        raise CommandError(f"Expected option --threads to be at least 1 but got {threads}.")
    try:
        status: int = module.run(options, others)
    except BrokenPipeError:
        raise
    except (ValueError, RuntimeError, OSError) as error:
        raise as_command_error(error) from error
    return status


def use_threads(threads: int) -> None:
    """Let PyTorch use so many CPU threads, and Lightning repeat no signals."""
    import logging

    from pytorch_lightning.trainer.connectors import signal_connector
    import torch

    torch.set_num_threads(threads)
    # It repeats each signal that ends a training.
    logging.getLogger(signal_connector.__name__).setLevel(logging.WARNING)
