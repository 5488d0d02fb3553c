"""A full disk under a study: the search stops with one sentence, and can go on later."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
import errno
import os

from optuna.storages.journal import JournalFileSymlinkLock
from optuna.trial import Trial


_Objective = Callable[[Trial], float | Sequence[float]]


class StorageFullError(OSError):
    """The disk under a study is full; the message is for the user."""


class _DiskFullError(BaseException):
    """Passes ``study.optimize`` and leaves the trial RUNNING: the next search repeats it."""


@contextmanager
def explained(study_name: str) -> Iterator[None]:
    """Turn the errors of a full disk into one sentence.

    Raises:
        StorageFullError: If the disk is full.
    """
    try:
        yield
    except (_DiskFullError, Exception) as error:
        if not is_full(error):
            raise
        raise StorageFullError(
            f"Expected room for the study {study_name!r} but the disk is full. What is finished "
            "is kept; when there is room, the same search with argument `study_name` "
            f"{study_name} goes on."
        ) from error


def stopping(objective: _Objective) -> _Objective:
    """Return an objective for which a full disk ends the search instead of failing its trials."""

    def evaluate(trial: Trial) -> float | Sequence[float]:
        try:
            return objective(trial)
        except Exception as error:
            if is_full(error):
                raise _DiskFullError from error
            raise

    return evaluate


def is_full(error: BaseException) -> bool:
    """Tell whether an error, or what it came from, says that there is no room on a disk."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "database or disk is full" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


class WholeLines(JournalFileSymlinkLock):
    """Optuna's lock of a journal, which cuts off the part of a line that a full disk has left.

    Otherwise the next line would be written behind it, and nobody could read the file any more.

    Args:
        path: The journal.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path = path

    def acquire(self) -> bool:
        """Wait for the lock."""
        acquired = super().acquire()
        with open(self._path, "rb+") as file:
            end = file.seek(0, os.SEEK_END)
            while end and file.seek(end - 1) >= 0 and file.read(1) != b"\n":
                end -= 1
            file.truncate(end)
        return acquired
