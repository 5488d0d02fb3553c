"""The task of predicting numbers: against scikit-learn, in the targets' units."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error
from sklearn.metrics import r2_score
from sklearn.metrics import root_mean_squared_error
import torch
from torch import nn
from torch import Tensor

from lightning_modules import FeatureVector
from lightning_modules import Regression
from lightning_modules.data import DigitsDataModule
from optuna_nas.metrics import METRICS


ONE = Regression(1, (50.0,), (4.0,))
TWO = Regression(2, (50.0, -1.0), (4.0, 0.01))
ORACLES = {"rmse": root_mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}


def make_batch(
    task: Regression, n: int = 60, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Return outputs that know something, and targets in their own units."""
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(n, task.n_outputs, generator=generator, dtype=dtype)
    noise = torch.randn(n, task.n_outputs, generator=generator, dtype=dtype)
    target = (output + 0.5 * noise) * torch.tensor(task.std) + torch.tensor(task.mean)
    return output, target


def in_units(task: Regression, output: Tensor) -> Tensor:
    return output.double() * torch.tensor(task.std).double() + torch.tensor(task.mean).double()


@pytest.mark.parametrize("task", [ONE, TWO])
@pytest.mark.parametrize("name", list(ORACLES))
def test_metrics_of_all_batches(task: Regression, name: str) -> None:
    output, target = make_batch(task)
    expected = ORACLES[name](target, in_units(task, output))
    metric = task.make_metrics()[name]
    for _ in range(2):  # The second time after a reset.
        for part in (slice(0, 33), slice(33, 60)):
            metric.update(output[part], target[part])
        assert float(metric.compute()) == pytest.approx(expected, rel=1e-4)
        metric.reset()
    assert float(metric(output, target)) == pytest.approx(expected, rel=1e-4)
    assert set(task.make_metrics()) == {metric.name for metric in task.metrics}


def test_targets_of_one_number_may_have_an_axis_or_none() -> None:
    output, target = make_batch(ONE)
    flat = target[:, 0]
    assert ONE.loss(output, target) == ONE.loss(output, flat) == ONE.loss(output[:, 0], flat)
    for name, oracle in ORACLES.items():
        for out in (output, output[:, 0]):
            found = float(ONE.make_metrics()[name](out, flat))
            assert found == pytest.approx(oracle(flat, in_units(ONE, output)), rel=1e-4)


@pytest.mark.parametrize("task", [ONE, TWO])
def test_the_loss_is_that_of_scaled_values(task: Regression) -> None:
    output, target = make_batch(task)
    scaled = (target.double() - torch.tensor(task.mean)) / torch.tensor(task.std)
    expected = (output.double() - scaled).square().mean().item()
    assert task.loss(output, target).item() == pytest.approx(expected, rel=1e-4)
    assert task.training_loss(output, target).item() == pytest.approx(expected, rel=1e-4)
    # As of another network that teaches this one.
    assert task.loss(output, task.predict(output)).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("task", [ONE, TWO])
def test_guessing_the_mean(task: Regression) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1000, task.n_outputs, generator=generator).double()
    std, mean = torch.std_mean(values, dim=0, correction=0)
    task = Regression(task.n_outputs, tuple(mean.tolist()), tuple(std.tolist()))
    guess = torch.zeros(1000, task.n_outputs)
    assert task.loss(guess, values).item() == pytest.approx(task.guess_loss, rel=1e-5)
    assert float(task.make_metrics()["r2"](guess, values)) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("task", [ONE, TWO])
def test_predictions_have_the_targets_units(task: Regression) -> None:
    output, _ = make_batch(task)
    torch.testing.assert_close(task.predict(output), in_units(task, output).float())
    assert task.predict(output).shape == (60, task.n_outputs)


def test_predictions_are_said_in_words() -> None:
    assert ONE.describe(torch.tensor([12.34567])) == {"prediction": "12.35"}
    assert TWO.describe(torch.tensor([1.0, -2e7])) == {"prediction": "1, -2e+07"}


def test_years_keep_their_digits() -> None:
    """The spread is small beside the values: sums of squares would lose it."""
    task = Regression(1, (2000.0,), (0.5,))
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(20_000, 1, generator=generator)
    target = 2000 + 0.5 * (output + 0.3 * torch.randn(20_000, 1, generator=generator))
    for name, oracle in ORACLES.items():
        metric = task.make_metrics()[name]
        for start in range(0, 20_000, 500):
            metric.update(output[start : start + 500], target[start : start + 500])
        expected = oracle(target.double(), in_units(task, output))
        assert float(metric.compute()) == pytest.approx(expected, rel=1e-3), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_of_outputs_is_not_that_of_the_targets(dtype: torch.dtype) -> None:
    task = Regression(1, (2000.0,), (0.5,))
    output, target = torch.zeros(4, 1, dtype=dtype), torch.tensor([1999.5, 2000.0, 2000.5, 2000.0])
    assert task.predict(output).flatten().tolist() == [2000.0] * 4
    assert task.loss(output, target).item() == pytest.approx(0.5)
    assert float(task.make_metrics()["mae"](output, target)) == pytest.approx(0.25)


def test_double_precision_stays() -> None:
    output, target = make_batch(TWO, dtype=torch.float64)
    assert TWO.loss(output, target).dtype == torch.float64
    assert TWO.predict(output).dtype == torch.float64
    assert TWO.loss(output.float(), target).dtype == torch.float32


def test_integer_targets() -> None:
    output, target = torch.tensor([[0.5], [-1.0]]), torch.tensor([52, 46])
    assert ONE.loss(output, target).item() == pytest.approx(0)


def test_the_score_grows_with_the_quality() -> None:
    output, target = make_batch(TWO)
    assert TWO.score(output, target) > TWO.score(-output, target)
    expected = -root_mean_squared_error(target, in_units(TWO, output))
    assert float(TWO.score(output, target)) == pytest.approx(expected, rel=1e-4)


def test_gradients_are_those_of_the_loss() -> None:
    output, target = make_batch(TWO)
    output.requires_grad_()
    TWO.loss(output, target).backward()
    scaled = (target - torch.tensor(TWO.mean)) / torch.tensor(TWO.std)
    torch.testing.assert_close(output.grad, 2 * (output.detach() - scaled) / output.numel())


def test_the_head() -> None:
    head = TWO.head(FeatureVector(7))
    assert isinstance(head, nn.Linear)
    assert (head.in_features, head.out_features) == (7, 2)
    assert TWO.output_shape == (2,)


def test_names_of_metrics() -> None:
    names = ("val_rmse", "val_mae", "val_r2", "val_loss", "train_loss")
    assert Regression.trained_metrics() == names
    assert Regression.primary() == "val_rmse"
    directions = {name: METRICS.get(f"val_{name}").direction for name in ORACLES}
    assert directions == {"rmse": "minimize", "mae": "minimize", "r2": "maximize"}
    assert METRICS.get("test_r2").heading == "test R2"


def test_from_data() -> None:
    for attributes, task in [
        ({}, Regression()),
        ({"n_targets": 3}, Regression(3)),
        ({"target_mean": [1.0, 2.0], "target_std": [3.0, 4.0]}, Regression(2, (1, 2), (3, 4))),
        ({"target_mean": 5.0, "target_std": np.float32(2)}, Regression(1, (5,), (2,))),
        ({"target_mean": torch.tensor([1.0, 2.0])}, Regression(2, (1, 2))),
        ({"n_targets": np.int64(1), "target_mean": None}, Regression()),
    ]:
        data: Any = SimpleNamespace(**attributes)
        assert Regression.from_data(data) == task
        assert all(type(value) is float for value in Regression.from_data(data).mean)
    data = SimpleNamespace(n_targets=1, target_mean=[1.0], target_std=[2.0])
    assert Regression.from_data(data, std=(3.0,)) == Regression(1, (1,), (3,))


def test_data_with_classes() -> None:
    with pytest.raises(ValueError, match="`datamodule` to have values to predict .* got Digits"):
        Regression.from_data(DigitsDataModule())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_outputs": 0}, "`n_outputs` to be at least 1 but got 0"),
        ({"n_outputs": 2.0}, "`n_outputs` to be at least 1 but got 2.0"),
        ({"mean": (1.0,)}, r"`mean` to be 2 finite numbers but got \(1.0,\)"),
        ({"mean": (1.0, math.nan)}, r"`mean` to be 2 finite numbers but got \(1.0, nan\)"),
        ({"std": (1.0, 0.0)}, r"`std` to be 2 finite numbers above 0 but got \(1.0, 0.0\)"),
        ({"std": (1.0, math.inf)}, "`std` to be 2 finite numbers above 0 but got"),
        ({"std": (1.0, 2.0, 3.0)}, "`std` to be 2 finite numbers above 0 but got"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Regression(**{"n_outputs": 2, **arguments})


def test_targets_of_another_number_of_values() -> None:
    with pytest.raises(RuntimeError):
        TWO.loss(torch.zeros(3, 2), torch.zeros(3))
    with pytest.raises(RuntimeError):
        TWO.make_metrics()["rmse"](torch.zeros(3, 2), torch.zeros(3, 3))
