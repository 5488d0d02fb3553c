"""Following a training epoch by epoch."""

from __future__ import annotations

import math
import os
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from pytorch_lightning.trainer.states import TrainerFn
import torch

from lightning_modules.training._follower import DivergenceGuard
from lightning_modules.training._follower import EpochFollower
from lightning_modules.training._follower import require_logged
from optuna_nas.metrics import Metric


def trainer(**values: float) -> Any:
    logged = {name: torch.tensor(value) for name, value in values.items()}
    return SimpleNamespace(
        callback_metrics=logged,
        current_epoch=2,
        global_step=5,
        should_stop=False,
        fast_dev_run=False,
        sanity_checking=False,
        state=SimpleNamespace(fn=TrainerFn.FITTING),
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
    )


MODULE: Any = None


class TestFollower:
    def test_it_keeps_and_reports_plain_numbers(self) -> None:
        told: list[Any] = []
        follower = EpochFollower(lambda epoch, values: told.append((epoch, values)), -1)
        follower.on_train_epoch_end(trainer(val_loss=0.5, val_f1=0.25), MODULE)
        assert follower.epochs == [{"val_loss": 0.5, "val_f1": 0.25}]
        assert told == [(2, {"val_loss": 0.5, "val_f1": 0.25})]
        assert type(told[0][1]["val_loss"]) is float

    def test_what_is_wanted_has_to_be_logged_before_anything_is_told(self) -> None:
        told: list[Any] = []
        follower = EpochFollower(lambda *report: told.append(report), -1, ["val_f1"])
        with pytest.raises(ValueError, match="'val_f1'"):
            follower.on_train_epoch_end(trainer(val_loss=0.5), MODULE)
        monitor = Metric("val_f1", "maximize")
        follower = EpochFollower(None, -1, ["val_loss"], monitor)
        with pytest.raises(ValueError, match="argument `monitor` to be names .*'val_f1'"):
            follower.on_train_epoch_end(trainer(val_loss=0.5), MODULE)
        assert told == []

    @pytest.mark.parametrize(
        ("direction", "values", "best", "stops"),
        [
            ("minimize", [3.0, 1.0, 2.0, 1.5], 1.0, True),
            ("maximize", [3.0, 1.0, 2.0], 3.0, True),
            ("maximize", [3.0, 4.0, 2.0], 4.0, False),
            ("minimize", [3.0, math.nan], 3.0, True),  # Nothing good can follow.
        ],
    )
    def test_it_stops_early_and_knows_the_best_epoch(
        self, direction: Any, values: list[float], best: float, stops: bool
    ) -> None:
        follower = EpochFollower(None, -1, [], Metric("val_f1", direction), patience=2)
        for value in values:
            assert not (at_work := trainer(val_f1=value)).should_stop
            follower.on_train_epoch_end(at_work, MODULE)
        assert at_work.should_stop == stops
        assert follower.best_epoch() == {"val_f1": best}

    def test_without_early_stopping_no_epoch_is_the_best(self) -> None:
        follower = EpochFollower(None, -1)
        for value in (1.0, 2.0, 3.0):
            follower.on_train_epoch_end(at_work := trainer(val_loss=value), MODULE)
            assert not at_work.should_stop
        assert follower.best_epoch() is None
        assert EpochFollower(None, -1, [], Metric("val_f1", "maximize")).best_epoch() is None

    @pytest.mark.parametrize(
        ("max_steps", "stops"), [(-1, False), (6, False), (5, True), (4, True)]
    )
    def test_it_stops_after_the_last_step(self, max_steps: int, stops: bool) -> None:
        at_work = trainer()
        EpochFollower(None, max_steps).on_train_batch_end(at_work)
        assert at_work.should_stop == stops

    def test_another_process_does_not_report(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[Any] = []
        follower = EpochFollower(lambda *report: told.append(report), -1)
        sent = pickle.loads(pickle.dumps(follower))  # Though the report could not be.
        sent.on_train_epoch_end(trainer(val_loss=0.5), MODULE)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        follower.on_train_epoch_end(trainer(val_loss=0.5), MODULE)
        assert told == []
        assert sent.epochs == follower.epochs == [{"val_loss": 0.5}]


class TestRequired:
    def test_all_are_there(self) -> None:
        require_logged([], {})
        require_logged(["val_loss"], {"val_loss": 1.0})

    def test_others_were_logged(self) -> None:
        message = (
            r"`metrics` to be cost metrics or names that the module logs each epoch, "
            r"\['val_a', 'val_b'\], but got 'val_c'"
        )
        with pytest.raises(ValueError, match=message):
            require_logged(["val_a", "val_c"], {"val_b": 1.0, "val_a": 1.0})

    def test_nothing_was_validated(self) -> None:
        with pytest.raises(ValueError, match="`datamodule` to have validation data for val_f1"):
            require_logged(["val_f1"], {"train_loss": 1.0})


class TestDivergence:
    def test_the_losses_of_an_epoch_count_once(self) -> None:
        guard = DivergenceGuard()
        for outputs in [torch.tensor(1.0), {"loss": torch.tensor(2.0)}, None, {"x": 3}]:
            guard.on_train_batch_end(trainer(), MODULE, outputs)
        guard.on_train_epoch_end(trainer(), MODULE)
        guard.on_train_batch_end(trainer(), MODULE, torch.tensor(torch.inf))
        guard.on_train_batch_end(trainer(), MODULE, torch.tensor(1.0))
        with pytest.raises(RuntimeError, match="diverged: the loss of epoch 2 is inf; a smaller"):
            guard.on_train_epoch_end(trainer(), MODULE)
        guard.on_train_epoch_end(trainer(), MODULE)  # The next epoch starts anew.

    @pytest.mark.parametrize(("logged", "returned"), [(math.nan, 1.0), (1.0, math.nan)])
    def test_the_logged_loss_counts_as_well(self, logged: float, returned: float) -> None:
        guard = DivergenceGuard()
        guard.on_train_batch_end(trainer(), MODULE, torch.tensor(returned))
        with pytest.raises(RuntimeError, match="the loss of epoch 2 is nan"):
            guard.on_train_epoch_end(trainer(train_loss=logged), MODULE)

    def test_a_module_that_returns_no_loss(self) -> None:
        DivergenceGuard().on_train_epoch_end(trainer(), MODULE)
