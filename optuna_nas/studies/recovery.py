"""What a killed run leaves behind: trials that are RUNNING although their process is gone."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import copy
import os
from pathlib import Path
import socket
import time
from typing import Any
import warnings

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import Trial
from optuna.trial import TrialState

from optuna_nas import _compat
from optuna_nas.objective import FAIL_REASON


WORKER = "worker"
"""Trial user attribute: host, process and start of the process that runs the trial."""

_Objective = Callable[[Trial], float | Sequence[float]]

_GRACE_SECONDS = 2.0
"""How long a RUNNING trial without a worker may be one that another process just made."""


class Marked:
    """An objective that first notes on each trial which process runs it.

    Before the architecture is chosen, because a sampler may think for longer than the grace.

    Args:
        objective: Called then.
    """

    def __init__(self, objective: _Objective) -> None:
        self._objective = objective

    def __call__(self, trial: Trial) -> float | Sequence[float]:
        """Return what the objective returns."""
        trial.set_user_attr(WORKER, this_process())
        return self._objective(trial)


def this_process() -> dict[str, Any]:
    """Return what identifies this process among all hosts and restarts."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "start": _start_of(os.getpid())}


def fail_abandoned_trials(study: Study) -> list[FrozenTrial]:
    """Mark RUNNING trials of dead processes of this host as failed, with a reason.

    Trials of other hosts are left to the storage's heartbeat (``RDBStorage``), and trials of live
    processes alone. A trial that does not say who runs it (see :class:`Marked`) is one whose
    process ended as it began; it is given two seconds.

    Args:
        study: Any study.

    Returns:
        The trials as they were, still RUNNING; without those that another process, which did
        the same at that moment, has marked.
    """
    reason = "the process that ran the trial was killed"
    abandoned = [trial for trial in _settled(study) if _is_abandoned(trial)]
    return [trial for trial in abandoned if fail(study, trial, reason)]


def repeat(study: Study, trial: FrozenTrial) -> bool:
    """Enqueue the architecture of a trial that was broken off, unless it was repeated already.

    What was decided is kept as Optuna's
    :class:`~optuna.storages.RetryHeartbeatStaleTrialCallback` does it.

    Returns:
        Whether it was enqueued.
    """
    if not trial.params or trial.system_attrs.get("retry_history"):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        enqueue_again = RetryHeartbeatStaleTrialCallback(max_retry=1)
    attempt = copy.deepcopy(trial)
    attempt.user_attrs = {}  # Of the attempt that was killed, its tracking run included.
    enqueue_again(study, attempt)
    return True


def fail(study: Study, trial: FrozenTrial, reason: str) -> bool:
    """Mark an unfinished trial as failed for ``reason``; False if it is finished by now."""
    try:
        if FAIL_REASON not in trial.user_attrs:
            _compat.set_trial_user_attr(study, trial, FAIL_REASON, reason)
    except UpdateFinishedTrialError:
        return False
    return _compat.fail_trial(study, trial)


def fail_own_trials(study: Study, reason: str) -> None:
    """Mark the RUNNING trials of this process as failed.

    Those that nobody claims within two seconds are taken for its own, broken off as they began.
    """
    me = this_process()
    for trial in _settled(study):
        if trial.user_attrs.get(WORKER, me) == me:
            fail(study, trial, reason)


def _settled(study: Study) -> list[FrozenTrial]:
    """Return the RUNNING trials when those without a worker have had time to name it."""
    running = _running(study)
    if any(WORKER not in trial.user_attrs for trial in running):
        time.sleep(_GRACE_SECONDS)
        running = _running(study)
    return running


def _running(study: Study) -> list[FrozenTrial]:
    return study.get_trials(states=(TrialState.RUNNING,))


def _is_abandoned(trial: FrozenTrial) -> bool:
    worker = trial.user_attrs.get(WORKER)
    if worker is None:
        return True
    if worker["host"] != socket.gethostname():
        return False
    return bool(_start_of(worker["pid"]) != worker["start"])


def _start_of(pid: int) -> str | None:
    """Return when a process started (so that a reused number is another process), or None."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _start_without_proc(pid)
    state, start = stat.rpartition(")")[2].split()[:20:19]
    return None if state == "Z" else start


def _start_without_proc(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return None
    if os.name == "nt":  # There, os.kill would end the process.
        return "unknown"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "unknown"
