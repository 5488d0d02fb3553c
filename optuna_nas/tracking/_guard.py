"""What every tracker does about failures of MLflow: one warning, a rest, and another try."""

from __future__ import annotations

from collections.abc import Callable
import functools
import logging
import threading
import time
from typing import Concatenate
from typing import ParamSpec
from typing import TypeVar
import warnings

from optuna_nas.tracking._connection import without_password


_logger = logging.getLogger(__name__)
_ALWAYS = (  # The last chance: not skipped while the tracker rests.
    "close",
    "interrupt",
    "log_final",
    "log_supernet",
)
_P = ParamSpec("_P")
_REST = 10  # After a failed call no other is made for this many times as long as it took.


class Guarded:
    """A tracker whose methods cannot fail.

    Args:
        tracking_uri: Where MLflow keeps the runs.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._uri = tracking_uri
        self._lock = threading.RLock()
        self._resting_until = 0.0
        self._warned = False

    def _disconnect(self) -> None:
        """Forget connections after a failure; the next one starts with what was missed."""

    def _warn(self, error: Exception) -> None:
        cause = " ".join(str(error).split())[:400]
        message = without_password(
            f"Tracking in MLflow at {self._uri} failed; the search goes on, and "
            f"what is missing is logged when MLflow answers. {type(error).__name__}: {cause}"
        )
        _logger.debug(message, exc_info=error)
        if not self._warned:
            self._warned = True
            try:
                warnings.warn(message, RuntimeWarning, stacklevel=3)
            except RuntimeWarning:  # Even where warnings are errors, no trial fails.
                _logger.warning(message)


_T = TypeVar("_T", bound=Guarded)


def guarded(method: Callable[Concatenate[_T, _P], None]) -> Callable[Concatenate[_T, _P], None]:
    """Make a failure a warning, and a store that does not answer cost a tenth of the time."""

    @functools.wraps(method)
    def call(self: _T, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        with self._lock:
            started = time.monotonic()
            if started < self._resting_until and method.__name__ not in _ALWAYS:
                return
            try:
                method(self, *args, **kwargs)
            except Exception as error:
                now = time.monotonic()
                self._resting_until = now + _REST * (now - started)
                self._disconnect()
                self._warn(error)

    return call
