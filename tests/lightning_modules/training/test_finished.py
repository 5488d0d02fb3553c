"""Predictions of a finished model."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor

from lightning_modules import build_chain_backbone
from lightning_modules import Classification
from lightning_modules import FinishedModel
from lightning_modules import Regression
from lightning_modules import Task
from optuna_nas import ChainSpace


CHAIN = ChainSpace().from_string("C8k3-Smax2-O32")
FORM = {"kind": "images", "input_shape": [1, 6, 6], "mean": [0.25], "std": [0.5]}


def make(task: Task | None, network: nn.Module | None = None, form: Any = FORM) -> FinishedModel:
    if network is None:
        assert task is not None
        network = task.network(build_chain_backbone(CHAIN, input_shape=(1, 6, 6)))
    return FinishedModel(network.eval(), CHAIN, task, form, {})


def test_predictions_are_probabilities_in_batches() -> None:
    model = make(Classification(3))
    images = torch.randn(7, 1, 6, 6)
    probabilities = model.predict(images, batch_size=3)
    assert probabilities.shape == (7, 3)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(7))
    torch.testing.assert_close(probabilities, model.predict(images))
    with pytest.raises(ValueError, match=r"shape \(n, \*\(1, 6, 6\)\) but got \(7, 1, 8, 8\)"):
        model.predict(torch.randn(7, 1, 8, 8))


def test_predictions_have_the_units_of_the_targets() -> None:
    task = Regression(2, (100.0, -3.0), (10.0, 0.5))
    model, images = make(task), torch.randn(7, 1, 6, 6)
    with torch.no_grad():
        output = model.network(images)
    expected = output * torch.tensor([10.0, 0.5]) + torch.tensor([100.0, -3.0])
    torch.testing.assert_close(model.predict(images, batch_size=2), expected)


def test_a_module_of_ones_own_predicts_by_its_own_step() -> None:
    class Module(pl.LightningModule):
        def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
            return {"sum": batch["x"] + batch["y"], "number": torch.full((len(batch["x"]),), 1.0)}

    inputs = {"x": torch.arange(5.0), "y": torch.ones(5)}
    found = make(None, Module(), None).predict(inputs, batch_size=2)
    assert found["sum"].tolist() == [1, 2, 3, 4, 5]
    assert found["number"].shape == (5,)


def test_no_samples_have_no_predictions() -> None:
    assert make(Classification(3)).predict(torch.zeros(0, 1, 6, 6)).shape == (0, 3)


def test_predictions_need_no_gradients() -> None:
    assert not make(Classification(3)).predict(torch.zeros(2, 1, 6, 6)).requires_grad


def test_errors() -> None:
    model = make(Classification(3))
    with pytest.raises(ValueError, match="`batch_size` to be at least 1 but got 0"):
        model.predict(torch.zeros(2, 1, 6, 6), batch_size=0)
    with pytest.raises(
        ValueError, match=r"`inputs` to have shape \(n, \*\(1, 6, 6\)\) but got dict"
    ):
        model.predict({"x": torch.zeros(2, 1, 6, 6)})
