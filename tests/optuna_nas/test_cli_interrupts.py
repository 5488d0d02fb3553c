"""Signals: one KeyboardInterrupt, whatever else comes while it is cleaned up."""

from __future__ import annotations

from collections.abc import Iterator
import signal
import threading

import optuna
from optuna.trial import FrozenTrial
import pytest

from optuna_nas.cli import _interrupts
from optuna_nas.cli._interrupts import Interrupts
from optuna_nas.cli._interrupts import is_interrupt


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
