"""One process at a time, on one host, behind a file that stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from filelock import Timeout


@contextmanager
def locked(
    file: Path, *, seconds: float = -1, waits: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Wait until no other process is within the ``with`` block for the file.

    A killed process gives the lock back. A waiting one can be interrupted.

    Args:
        file: The lock file, which is made if it does not exist.
        seconds: How long to wait; a negative number for however long it takes.
        waits: Called once if another process is there.

    Raises:
        OSError: If the file cannot be made or locked.
        TimeoutError: If it took too long.
    """
    file.touch()  # Where that fails, a FileLock may wait for better times.
    lock = FileLock(file, timeout=seconds)
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        waits()
        held = lock.acquire()
    with held:
        yield
