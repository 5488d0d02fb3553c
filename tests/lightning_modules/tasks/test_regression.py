"""Regression: scaled outputs, metrics in the targets' units, against scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
from sklearn.metrics import mean_absolute_error
from sklearn.metrics import r2_score
from sklearn.metrics import root_mean_squared_error
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset

from lightning_modules import FeatureVector
from lightning_modules import Regression
from lightning_modules import TaskModule
from lightning_modules.data import DigitsDataModule
from lightning_modules.data import NpzDataModule


MEAN, STD = (100.0, -3.0, 5e4), (20.0, 0.01, 8e3)


def made(n_outputs: int, n: int = 60) -> tuple[Regression, torch.Tensor, torch.Tensor]:
    """Return a task, outputs of a poor network, and targets in their units."""
    generator = torch.Generator().manual_seed(n_outputs)
    task = Regression(n_outputs, MEAN[:n_outputs], STD[:n_outputs])
    scaled = torch.randn(n, n_outputs, generator=generator)
    output = 0.7 * scaled + 0.4 * torch.randn(n, n_outputs, generator=generator)
    return task, output, scaled * torch.tensor(task.std) + torch.tensor(task.mean)


def expected_metrics(task: Regression, output: torch.Tensor, target: torch.Tensor) -> Any:
    prediction = output.double().numpy() * np.array(task.std) + np.array(task.mean)
    truth = target.double().numpy()
    return {
        "rmse": root_mean_squared_error(truth, prediction),
        "mae": mean_absolute_error(truth, prediction),
        "r2": r2_score(truth, prediction),
    }


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
def test_metrics_are_those_of_all_samples(n_outputs: int) -> None:
    task, output, target = made(n_outputs)
    expected = expected_metrics(task, output, target)
    metrics = task.make_metrics()
    assert list(metrics) == [metric.name for metric in task.metrics] == list(expected)
    for name, metric in metrics.items():
        for _ in range(2):
            metric.reset()
            for part in (slice(0, 7), slice(7, 40), slice(40, 60)):
                metric.update(output[part], target[part])
            assert metric.compute().shape == ()
            assert metric.compute().item() == pytest.approx(expected[name], rel=1e-4)
        metric.reset()
        assert metric(output, target).item() == pytest.approx(expected[name], rel=1e-4)
    assert task.score(output, target).item() == pytest.approx(-expected["rmse"], rel=1e-4)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_trainer_logs_them(n_outputs: int) -> None:
    task, inputs, target = made(n_outputs)
    module = TaskModule(nn.Identity(), task)
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    loader = DataLoader(TensorDataset(inputs, target), batch_size=23)
    expected = expected_metrics(task, inputs, target)
    scaled = (target - torch.tensor(task.mean)) / torch.tensor(task.std)
    expected["loss"] = nn.functional.mse_loss(inputs, scaled).item()
    for _ in range(2):
        [logged] = trainer.validate(module, loader, verbose=False)
        assert logged == pytest.approx({f"val_{k}": v for k, v in expected.items()}, rel=1e-4)
    batches = trainer.predict(module, loader)
    assert batches is not None
    torch.testing.assert_close(torch.cat(batches), task.predict(inputs))  # type: ignore[arg-type]
    assert not any("metrics" in name for name in module.state_dict())


def test_targets_far_from_zero_keep_their_digits() -> None:
    task = Regression(1, (20_000.0,), (1.0,))
    generator = torch.Generator().manual_seed(0)
    target = 20_000 + torch.randn(500, generator=generator)
    output = (target - 20_000 + 0.5 * torch.randn(500, generator=generator))[:, None]
    expected = expected_metrics(task, output, target[:, None])
    for name, metric in task.make_metrics().items():
        assert metric(output, target).item() == pytest.approx(expected[name], rel=1e-3)


def test_shapes_of_one_target() -> None:
    task, output, target = made(1)
    assert torch.equal(task.loss(output, target), task.loss(output, target[:, 0]))
    for one, other in zip(task.make_metrics().values(), task.make_metrics().values(), strict=True):
        assert one(output, target) == other(output, target[:, 0])
    single = output[:1], target[:1, 0]
    assert task.loss(*single).shape == ()
    assert task.make_metrics()["mae"](*single) > 0


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_loss_is_in_units_of_the_deviation(n_outputs: int) -> None:
    task, output, target = made(n_outputs)
    scaled = (target - torch.tensor(task.mean)) / torch.tensor(task.std)
    expected = nn.functional.mse_loss(output, scaled)
    torch.testing.assert_close(task.loss(output, target), expected)
    torch.testing.assert_close(task.training_loss(output, target), expected)
    assert task.loss(output, task.predict(output)).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_guess_of_the_mean(n_outputs: int) -> None:
    _, _, target = made(n_outputs, n=2000)
    mean, std = target.mean(0).tolist(), target.std(0, correction=0).tolist()
    task = Regression(n_outputs, tuple(mean), tuple(std))
    guess = torch.zeros(2000, n_outputs)
    assert task.loss(guess, target).item() == pytest.approx(task.guess_loss, rel=1e-3)
    assert task.make_metrics()["r2"](guess, target).item() == pytest.approx(0, abs=1e-3)
    assert task.predict(guess)[0].tolist() == pytest.approx(mean)


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("kind", [torch.float64, torch.int64, torch.int32, torch.float16])
def test_types_of_targets(n_outputs: int, kind: torch.dtype) -> None:
    task = Regression(n_outputs, (10.0,) * n_outputs, (5.0,) * n_outputs)
    target = torch.arange(40).reshape(20, 2)[:, :n_outputs]
    output = torch.zeros(20, n_outputs, requires_grad=True)
    loss = task.loss(output, target.to(kind))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, task.loss(output, target.float()))
    loss.backward()
    assert output.grad is not None
    for metric in task.make_metrics().values():
        assert metric(output.detach(), target.to(kind)).isfinite()


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_types_of_outputs(n_outputs: int) -> None:
    task, output, target = made(n_outputs)
    exact = task.loss(output, target)
    assert task.loss(output.double(), target).dtype == torch.float64
    half = task.loss(output.to(torch.bfloat16), target)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(exact.item(), rel=0.02)
    assert task.predict(output.double()).dtype == torch.float64
    for name, metric in task.make_metrics().items():
        expected = expected_metrics(task, output, target)[name]
        assert metric(output.to(torch.bfloat16), target).item() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_shapes_run_on_the_meta_device(n_outputs: int) -> None:
    task = Regression(n_outputs)
    with torch.device("meta"):
        output = task.head(FeatureVector(4))(torch.zeros(3, 4))
        assert task.predict(output).shape == (3, n_outputs)
        assert task.loss(output, torch.zeros(3, n_outputs)).device.type == "meta"


def test_head_and_description() -> None:
    task = Regression(3, MEAN, STD)
    head = task.head(FeatureVector(7))
    assert head(torch.zeros(2, 7)).shape == (2, *task.output_shape) == (2, 3)
    assert task.describe(torch.tensor([1.0, -2.5, 123456.0])) == {
        "prediction": "1, -2.5, 1.235e+05"
    }
    assert Regression().describe(torch.tensor([0.25])) == {"prediction": "0.25"}


# For data.


class Data(pl.LightningDataModule):
    """Data of somebody else's."""

    def __init__(self, **facts: Any) -> None:
        super().__init__()
        vars(self).update(facts)


def test_from_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(7, 2, (50, 2))
    np.savez(tmp_path / "two.npz", X=rng.random((50, 4, 4)), y=targets)
    data = NpzDataModule(tmp_path / "two.npz", train_fraction=0.2)
    assert data.task == "regression"
    task = Regression.from_data(data)
    truth = data.read_search_data().train.targets.double().numpy()  # Of the whole split.
    assert task.n_outputs == 2
    assert task.mean == pytest.approx(tuple(truth.mean(0)))
    assert task.std == pytest.approx(tuple(truth.std(0)))
    assert Regression.from_data(Data()) == Regression()
    assert Regression.from_data(Data(target_mean=[2, 3])) == Regression(2, (2.0, 3.0))
    assert Regression.from_data(Data(n_targets=2, target_std=None)) == Regression(2)
    assert Regression.from_data(Data(), n_outputs=2, std=(1.0, 2.0)).std == (1.0, 2.0)


def test_data_without_values() -> None:
    with pytest.raises(
        ValueError, match="`datamodule` to have values .* but got DigitsDataModule, whose targets"
    ):
        Regression.from_data(DigitsDataModule())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_outputs": 0}, "`n_outputs` to be at least 1 but got 0"),
        ({"n_outputs": 1.5}, "`n_outputs` to be at least 1 but got 1.5"),
        ({"n_outputs": "2"}, "`n_outputs` to be at least 1 but got '2'"),
        ({"mean": (1.0, 2.0)}, r"`mean` to be 1 finite numbers but got \(1.0, 2.0\)"),
        ({"mean": (float("nan"),)}, "`mean` to be 1 finite numbers but got"),
        ({"mean": 3.0}, "`mean` to be 1 finite numbers but got 3.0"),
        ({"n_outputs": 2, "std": (1.0, 0.0)}, "`std` to be 2 finite numbers above 0 but got"),
        ({"std": (float("inf"),)}, "`std` to be 1 finite numbers above 0 but got"),
        ({"std": ("1",)}, "`std` to be 1 finite numbers above 0 but got"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"argument {message}"):
        Regression(**arguments)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_not_a_target_for_each_output(n_outputs: int) -> None:
    task, output, target = made(n_outputs)
    message = rf"targets to have shape \(60, {n_outputs}\), .* but got \(59, {n_outputs}\)"
    with pytest.raises(ValueError, match=message):
        task.loss(output, target[:59])
    with pytest.raises(ValueError, match=message):
        task.make_metrics()["mae"].update(output, target[:59])


def test_numbers_become_floats() -> None:
    task = Regression(2, [1, 2], (3, 4))  # type: ignore[arg-type]
    assert (task.mean, task.std) == ((1.0, 2.0), (3.0, 4.0))
