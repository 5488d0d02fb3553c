"""Commands in processes of their own, forked from one that has imported everything already."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from contextlib import suppress
import faulthandler
import multiprocessing
import os
from pathlib import Path
import sys
import time

from lightning_modules.cli import main


_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["lightning_modules.cli._search", "mlflow", "matplotlib.figure"])
_PATIENCE = 120.0


class CommandProcess:
    """``optuna-nas`` with some arguments in a folder.

    Args:
        folder: Where it runs.
        arguments: Words of the command line.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._log = folder / f"{time.monotonic_ns()}.out"
        self._log.touch()
        self._process = _CONTEXT.Process(target=_run, args=[arguments, folder, self._log])
        self._process.start()

    @property
    def output(self) -> str:
        """What it has written to stdout and stderr."""
        return self._log.read_text(encoding="utf-8")

    def wait_until(self, condition: Callable[[str], bool]) -> None:
        """Wait until the output fulfils a condition."""
        deadline = time.monotonic() + _PATIENCE
        while not condition(self.output):
            assert self._process.is_alive(), self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def send(self, number: int) -> None:
        """Send a signal, as a terminal does: to nobody if the process has ended."""
        assert self._process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def join(self) -> int:
        """Wait for the end and return the exit status, that of a signal as a negative number."""
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            raise AssertionError(self.output)
        assert self._process.exitcode is not None
        return self._process.exitcode


def _run(arguments: Sequence[str], folder: Path, log: Path) -> None:
    os.chdir(folder)
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
    faulthandler.dump_traceback_later(_PATIENCE / 2, file=2)  # Of a command that hangs.
    sys.exit(main(arguments))
