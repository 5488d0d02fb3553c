"""SIGINT and SIGTERM as one KeyboardInterrupt, however impatiently they are repeated."""

from __future__ import annotations

import math
import signal
import threading
import time
from types import FrameType
from typing import Any


_DEAF_SECONDS = 10.0
"""How long further signals are ignored: what the first one cleans up takes a few seconds."""


class Interrupts:
    """Within the ``with`` block both signals raise KeyboardInterrupt, but not again at once.

    So a second Ctrl-C does not break off the cleaning up, while a user can still repeat a signal
    that was swallowed, as happens in destructors. The handlers that were found are put back.
    """

    def __init__(self) -> None:
        self._last = -math.inf
        self._found: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # Others cannot have handlers.
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # As under nohup.
                    self._found[number] = signal.signal(number, self._interrupt) or signal.SIG_DFL
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._found.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last >= _DEAF_SECONDS:
            self._last = now
            raise KeyboardInterrupt


def is_interrupt(error: BaseException) -> bool:
    """Tell whether an error is an interrupt, or what a library made of one on its way.

    Optuna turns one that comes while it stores a trial's result into an UnboundLocalError.
    """
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__cause__ or seen.__context__
    return seen is not None
