"""The settings with which the stage in a folder is to be continued."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path
from typing import Any


_FILE = "settings.json"


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Check that a folder holds no stage with other settings.

    Args:
        folder: The folder, which need not exist.
        settings: Values by name; objects count as the names of their types.

    Raises:
        ValueError: If it does.
    """
    file = folder / _FILE
    if not file.is_file():
        return
    found = json.loads(file.read_text(encoding="utf-8"))
    for key, value in json.loads(_to_json(settings)).items():
        if found.get(key) != value:
            raise ValueError(
                f"Expected the stage in {folder} to be continued with its `{key}` "
                f"{found.get(key)!r} but got {value!r}; give another folder."
            )


def keep_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make a folder and write the settings there, or check those that it has.

    Raises:
        ValueError: If it has others.
    """
    check_settings(folder, settings)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / _FILE
    if not file.is_file():
        temporary = file.with_name(f".{_FILE}.{os.getpid()}.tmp")
        temporary.write_text(_to_json(settings) + "\n", encoding="utf-8")
        temporary.replace(file)


def _to_json(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), default=lambda value: type(value).__name__)
