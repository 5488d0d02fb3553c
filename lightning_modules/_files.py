"""Files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
import json
import os
from pathlib import Path
import threading
from typing import Any


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Make the folder of a file, and yield a name there that is this thread's own.

    Write under it and rename; what is left under it after the ``with`` block is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document under a temporary name and rename the file."""
    with temporary_beside(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values in the types that JSON has: tuples become lists."""
    return dict(json.loads(json.dumps(dict(values))))
