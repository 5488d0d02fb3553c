"""The folder of a supernet stage: its files, and the settings with which it is continued."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from lightning_modules._files import write_json


SUPERNET_FILE = "supernet.pt"
"""Name of the trained supernet in the folder of a stage."""
PRIOR_FILE = "prior.json"
"""Name of the prior in the folder of a stage."""
RESUME_FILE = "last.ckpt"
"""Name of the state of the last finished epoch."""
SCORES_FILE = "paths.jsonl"
"""Name of the scores of paths."""

_FILE = "settings.json"


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Check that a folder holds no stage with other settings.

    Args:
        folder: The folder, which need not exist.
        settings: Values by name; objects count by their representation, or by the name of their
            type where that has an address.

    Raises:
        ValueError: If it does.
    """
    found = stage_settings(folder)
    if found is None:
        return
    given = _plain(settings)
    for key in {**given, **found}:
        if found.get(key) != given.get(key):
            raise ValueError(
                f"Expected the stage in {folder} to be continued with its `{key}` "
                f"{found.get(key)!r} but got {given.get(key)!r}; give another folder."
            )


def keep_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make a folder and write the settings there, or check those that it has.

    Raises:
        ValueError: If it has others.
    """
    check_settings(folder, settings)
    if stage_settings(folder) is None:
        write_json(folder / _FILE, _plain(settings))


def stage_settings(folder: Path) -> dict[str, Any] | None:
    """Return the settings of the stage in a folder, None if there is no stage."""
    file = folder / _FILE
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in the types in which they are read from the file."""
    return dict(json.loads(json.dumps(dict(settings), default=_described)))


def _described(value: Any) -> str:
    text = repr(value)
    return type(value).__name__ if " at 0x" in text else text  # An address is of one process.
