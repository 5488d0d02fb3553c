"""Signals: one KeyboardInterrupt, whatever else comes while it is cleaned up."""

from __future__ import annotations

from collections.abc import Iterator
import signal
import threading
import time

import optuna
from optuna.trial import FrozenTrial
import pytest

from optuna_nas.studies import interrupts as _interrupts
from optuna_nas.studies.interrupts import Interrupts
from optuna_nas.studies.interrupts import is_interrupt


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in found.items():
        assert signal.getsignal(number) is handler
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_second_signal_is_ignored(number: signal.Signals) -> None:
    with Interrupts():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(again)


def test_signal_counts_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_interrupts, "_DEAF_SECONDS", 0.0)
    with Interrupts():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("module", ["sqlalchemy.engine", "optuna.storages.x", "mlflow.store.x"])
def test_interrupt_waits_for_a_transaction(module: str) -> None:
    done: list[str] = []
    own = {"__name__": module, "time": time, "signal": signal, "done": done}
    exec(
        "def transact(callback):\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    time.sleep(0.1)\n"
        "    callback()\n"
        "    done.append('committed')\n",
        own,
    )

    def command() -> None:
        own["transact"](lambda: time.sleep(0.1))  # type: ignore[operator]
        time.sleep(10)
        done.append("slept")

    with Interrupts():
        with pytest.raises(KeyboardInterrupt):
            command()
        signal.raise_signal(signal.SIGINT)  # The second one is ignored as ever.
    assert done == ["committed"]


def test_transaction_that_never_ends_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_interrupts, "_PATIENT_SECONDS", 0.1)
    own = {"__name__": "sqlalchemy.engine", "time": time, "signal": signal}
    exec("def hang():\n    signal.raise_signal(signal.SIGINT)\n    time.sleep(10)\n", own)
    with Interrupts(), pytest.raises(KeyboardInterrupt):
        own["hang"]()  # type: ignore[operator]


def test_waiting_interrupt_ends_with_the_command() -> None:
    own = {"__name__": "sqlalchemy.engine", "signal": signal}
    exec("def transact():\n    signal.raise_signal(signal.SIGINT)\n", own)
    try:
        with Interrupts():
            own["transact"]()  # type: ignore[operator]
    except KeyboardInterrupt:  # It came before the end.
        return
    time.sleep(0.1)


def test_ignored_signal_stays_ignored() -> None:
    found = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGINT)
    finally:
        assert signal.signal(signal.SIGINT, found) is signal.SIG_IGN


def test_other_threads_can_run_a_command() -> None:
    found = []

    def work() -> None:
        with Interrupts():
            found.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True]


def test_what_optuna_makes_of_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(optuna.samplers.RandomSampler):
        def after_trial(self, study: object, trial: FrozenTrial, *args: object) -> None:
            raise KeyboardInterrupt

    study = optuna.create_study(sampler=Interrupted())
    monkeypatch.setattr(  # As if the signal had come a little earlier.
        type(study._storage), "set_trial_state_values", lambda *args, **kwargs: True
    )
    with pytest.raises(BaseException) as caught:
        study.optimize(lambda trial: 1.0, n_trials=1)
    assert is_interrupt(caught.value)


def test_other_errors_are_no_interrupts() -> None:
    assert is_interrupt(KeyboardInterrupt())
    assert not is_interrupt(RuntimeError())
    error = ValueError()
    error.__cause__ = KeyError()
    assert not is_interrupt(error)
