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
_PATIENT_SECONDS = 10.0
"""How long a database transaction may hold an interrupt back."""
_RETRY_SECONDS = 0.02
_TRANSACTIONS = ("sqlalchemy.", "optuna.storages.", "mlflow.store.")
"""Modules that have a transaction open while one of their functions runs."""


class Interrupts:
    """Within the ``with`` block both signals raise KeyboardInterrupt, but not again at once.

    So a second Ctrl-C does not break off the cleaning up, while a user can still repeat a signal
    that was swallowed, as happens in destructors. The handlers that were found are put back.

    An interrupt waits for the end of a database transaction. A broken one would live on in the
    frames of the exception, and lock the database against the very cleaning up.
    """

    def __init__(self) -> None:
        self._last = -math.inf
        self._waiting_since = math.inf
        self._retry: threading.Timer | None = None
        self._found: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # Others cannot have handlers.
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # As under nohup.
                    self._found[number] = signal.signal(number, self._interrupt) or signal.SIG_DFL
        return self

    def __exit__(self, *_: object) -> None:
        if self._retry is not None:
            self._retry.cancel()
        for number, handler in self._found.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last < _DEAF_SECONDS:
            return
        self._waiting_since = min(self._waiting_since, now)
        if in_transaction(frame) and now - self._waiting_since < _PATIENT_SECONDS:
            self._retry = threading.Timer(_RETRY_SECONDS, _send_to_main_thread, [number])
            self._retry.daemon = True
            self._retry.start()
            return
        self._last, self._waiting_since = now, math.inf
        raise KeyboardInterrupt


def _send_to_main_thread(number: int) -> None:
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)  # It wakes the thread where it sleeps.
    else:
        signal.raise_signal(number)


def in_transaction(frame: FrameType | None) -> bool:
    """Tell whether a frame or one of its callers belongs to :data:`_TRANSACTIONS`."""
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(_TRANSACTIONS):
            return True
        frame = frame.f_back
    return False


def is_interrupt(error: BaseException) -> bool:
    """Tell whether an error is an interrupt, or what a library made of one on its way.

    Optuna turns one that comes while it stores a trial's result into an UnboundLocalError.
    """
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__cause__ or seen.__context__
    return seen is not None
