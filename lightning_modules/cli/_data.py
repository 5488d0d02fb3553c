"""Opening the data that a user names."""

from __future__ import annotations

from typing import Any

from lightning_modules.cli._errors import as_command_error
from lightning_modules.data import ImageDataModule
from lightning_modules.data import make_datamodule


def open_data(data: str, **arguments: Any) -> ImageDataModule:
    """Make a data module and read its training data.

    Raises:
        CommandError: If there is no such data or it cannot be used.
    """
    try:
        module = make_datamodule(data, **arguments)
        module.setup("fit")
    except ValueError as error:  # DataError is one.
        raise as_command_error(error) from error
    notice = getattr(module, "notice", None)
    if notice:
        print(notice, flush=True)
    return module
