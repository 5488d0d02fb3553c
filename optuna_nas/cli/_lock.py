"""One process at a time in a folder, however long it takes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from pathlib import Path
import sqlite3
import time


_FILE = ".lock"
_SECONDS = 0.2  # From one try to the next.


@contextmanager
def alone_in(folder: Path, waits: Callable[[], None]) -> Iterator[None]:
    """Wait until no other process of this host is within the ``with`` block for the folder.

    As in :func:`optuna_nas.tracking._connection.alone`, the lock is an sqlite transaction, which a
    killed process releases. A waiting process can be interrupted.

    Args:
        folder: The folder, which is made if it does not exist.
        waits: Called once if another process is there.

    Raises:
        OSError: If the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = False
    with closing(sqlite3.connect(folder / _FILE, timeout=0, isolation_level=None)) as lock:
        while True:
            try:
                lock.execute("BEGIN EXCLUSIVE")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise OSError(f"{folder / _FILE} cannot be locked: {error}") from error
            if not told:
                waits()
                told = True
            time.sleep(_SECONDS)
        yield
