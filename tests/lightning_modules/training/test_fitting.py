"""One training inside a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_modules.training._fitting import Fitting
from optuna_nas.metrics import Metric


class Data(pl.LightningDataModule):
    """Eight samples in batches of two."""

    def train_dataloader(self) -> Any:
        return DataLoader(torch.ones(8, 2), batch_size=2)  # type: ignore[arg-type]

    def val_dataloader(self) -> Any:
        return DataLoader(torch.ones(2, 2), batch_size=2)  # type: ignore[arg-type]


class Module(pl.LightningModule):
    """Logs ``val_score``, one of some values in each epoch."""

    def __init__(self, scores: list[float] | None = None, loss: float = 1.0) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.scores = scores or [0.5]
        self.factor = loss

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = self.layer(batch).square().mean() * self.factor
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val_score", self.scores[self.current_epoch % len(self.scores)])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fitting(**settings: Any) -> Fitting:
    arguments: dict[str, Any] = {
        "wanted": ["val_score"],
        "max_epochs": 4,
        "max_steps": -1,
        "patience": None,
        "monitor": None,
        "arguments": {"accelerator": "cpu"},
    }
    return Fitting(**(arguments | settings))


def test_without_early_stopping_the_last_epoch_counts() -> None:
    reports: list[Mapping[str, float]] = []
    found = fitting().run(
        Module([0.1, 0.4, 0.2, 0.3]), Data(), lambda _, values: reports.append(values)
    )
    assert found == pytest.approx({"val_score": 0.3})
    assert [report["val_score"] for report in reports] == pytest.approx([0.1, 0.4, 0.2, 0.3])


@pytest.mark.parametrize(
    ("direction", "best", "n_epochs"), [("minimize", 0.1, 3), ("maximize", 0.4, 4)]
)
def test_with_early_stopping_the_best_epoch_counts(
    direction: Any, best: float, n_epochs: int
) -> None:
    epochs: list[int] = []
    monitor = Metric("val_score", direction)
    found = fitting(monitor=monitor, patience=2, max_epochs=9).run(
        Module([0.1, 0.4, 0.3, 0.2]), Data(), lambda epoch, _: epochs.append(epoch)
    )
    assert found == pytest.approx({"val_score": best})
    assert epochs == list(range(n_epochs))


def test_a_monitor_without_patience_stops_nothing() -> None:
    found = fitting(monitor=Metric("val_score", "minimize")).run(Module([0.1, 0.4, 0.2]), Data())
    assert found == pytest.approx({"val_score": 0.1})  # Of the fourth epoch.


def test_values_that_the_module_logs_when_an_epoch_ends() -> None:
    """Lightning calls the callbacks before this hook of the module, except some of its own."""

    class Late(Module):
        def on_train_epoch_end(self) -> None:
            self.log("val_late", 10.0 - self.current_epoch)

    seen: list[float] = []
    settings: dict[str, Any] = {"wanted": ["val_late"], "max_epochs": 3}
    found = fitting(**settings).run(
        Late(), Data(), lambda _, values: seen.append(values["val_late"])
    )
    assert seen == [10.0, 9.0, 8.0]
    assert found["val_late"] == 8.0
    monitor = Metric("val_late", "maximize")
    assert fitting(**settings, monitor=monitor, patience=1).run(Late(), Data())["val_late"] == 10


def test_divergence_is_told_before_anything_is_reported() -> None:
    class Logs(Module):
        def on_train_epoch_end(self) -> None:
            self.log("train_loss", 0.1)  # Whatever the steps returned.

    reports: list[Any] = []
    for module in (Module(loss=float("nan")), Logs(loss=float("inf"))):
        with pytest.raises(RuntimeError, match="diverged: the loss of epoch 0 is"):
            fitting().run(module, Data(), lambda *report: reports.append(report))
    assert reports == []


@pytest.mark.parametrize(("max_steps", "n_epochs"), [(1, 1), (4, 1), (5, 2)])
def test_a_limit_of_steps(max_steps: int, n_epochs: int) -> None:
    epochs: list[int] = []
    fitting(max_steps=max_steps).run(Module(), Data(), lambda epoch, _: epochs.append(epoch))
    assert len(epochs) == n_epochs


def test_what_was_not_logged() -> None:
    with pytest.raises(ValueError, match=r"`metrics` to be .*\['val_score'\], but got 'val_f1'"):
        fitting(wanted=["val_f1"]).run(Module(), Data())
    monitor = Metric("val_f1", "maximize")
    with pytest.raises(ValueError, match="`monitor` to be names that .* but got 'val_f1'"):
        fitting(monitor=monitor, patience=1).run(Module(), Data())


def test_data_and_weights_are_let_go() -> None:
    data, module = Data(), Module()
    fitting(max_epochs=1).run(module, data)
    assert data.trainer is None
    assert list(module.parameters()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_epochs": 0}, "`max_epochs` to be at least 1 but got 0"),
        ({"max_steps": 0}, "`max_steps` to be at least 1, or -1, but got 0"),
        ({"max_steps": -2}, "`max_steps` to be at least 1, or -1, but got -2"),
        ({"patience": 0}, "`early_stopping_patience` to be at least 1, or None, but got 0"),
    ],
)
def test_limits_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitting(**settings)
