"""A trainer inside a larger program."""

from __future__ import annotations

import logging
from pathlib import Path
import signal
import threading
from typing import Any
import warnings
import weakref

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_modules.training.trainer import make_trainer
from lightning_modules.training.trainer import quiet
from lightning_modules.training.trainer import release
from lightning_modules.training.trainer import run_trainer
from lightning_modules.training.trainer import scalar_metrics


class Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("shift", torch.zeros(1))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = (self.layer(batch) * self.scale + self.shift).square().mean()
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader() -> Any:
    return DataLoader(torch.ones(4, 2), batch_size=2)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore")
def test_it_prints_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with quiet():
        trainer = make_trainer(max_epochs=1, accelerator="cpu")
        trainer.fit(Module(), loader())
    assert capfd.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []
    assert list(scalar_metrics(trainer)) == ["train_loss"]
    assert type(scalar_metrics(trainer)["train_loss"]) is float


def test_arguments_come_first() -> None:
    with quiet():
        trainer = make_trainer(accelerator="cpu", enable_progress_bar=True, max_steps=3)
    assert trainer.progress_bar_callback is not None
    assert trainer.max_steps == 3
    assert trainer.logger is None
    assert trainer.checkpoint_callback is None


class TestRun:
    def test_values_and_errors_come_out(self) -> None:
        assert run_trainer(lambda a, b: a + b, 1, b=2) == 3

        def fail() -> None:
            raise KeyError("x")

        with pytest.raises(KeyError):
            run_trainer(fail)

    def test_an_interrupt_is_one(self) -> None:
        def interrupted() -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # As Lightning does.
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                raise SystemExit(1)  # noqa: B904

        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            run_trainer(interrupted)
        assert signal.getsignal(signal.SIGINT) is handler

    def test_another_exit_stays_one(self) -> None:
        def leave() -> None:
            raise SystemExit(3)

        with pytest.raises(SystemExit) as left:
            run_trainer(leave)
        assert left.value.code == 3

    def test_in_a_thread(self) -> None:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(run_trainer(lambda: 7)))
        thread.start()
        thread.join()
        assert found == [7]


def test_quiet_is_of_this_thread_and_of_notices(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    log.propagate, propagate = True, log.propagate
    try:
        with caplog.at_level(logging.INFO, logger=log.name), quiet():
            log.info("GPU available")
            log.warning("something is wrong")
            thread = threading.Thread(target=log.info, args=("of another thread",))
            thread.start()
            thread.join()
        assert caplog.messages == ["something is wrong", "of another thread"]
        with caplog.at_level(logging.INFO, logger=log.name):
            log.info("later")
        assert caplog.messages[-1] == "later"
    finally:
        log.propagate = propagate


def test_warnings_stay() -> None:
    with quiet(), pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


@pytest.mark.filterwarnings("ignore")
def test_release_frees_the_weights() -> None:
    module = Module()
    alive = [weakref.ref(part) for part in (module.layer, module.scale, module.shift)]
    with quiet():
        trainer = make_trainer(max_epochs=1, accelerator="cpu")
        trainer.fit(module, loader())
    release(trainer, module)
    assert all(part() is None for part in alive)
    assert trainer.optimizers == []
