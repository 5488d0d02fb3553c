"""The task of predicting numbers."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any
from typing import Self

import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F
import torchmetrics
from torchmetrics import MeanAbsoluteError
from torchmetrics import MeanSquaredError
from torchmetrics import R2Score
from torchmetrics.wrappers.abstract import WrapperMetric

from lightning_modules.backbone import Backbone
from lightning_modules.tasks._base import Task
from optuna_nas.metrics import Metric


@dataclass(frozen=True)
class Regression(Task):
    """One or several numbers for each sample: a linear head and the mean squared error.

    The output is (batch, n_outputs) in units of the target's standard deviation around its mean,
    so that learning rates do not depend on the target's units. The target is (batch,) or
    (batch, n_outputs) in its own units, and so are predictions, RMSE and MAE. The loss is that of
    the scaled values: 1 for a network that predicts the mean.

    Args:
        n_outputs: Number of targets.
        mean: Mean of each target over the training split.
        std: Standard deviation of each, above 0.

    Raises:
        ValueError: If a number is out of its range, or ``mean`` or ``std`` has another length.
    """

    n_outputs: int = 1
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    metrics = (
        Metric("rmse", "minimize", "RMSE"),
        Metric("mae", "minimize", "MAE"),
        Metric("r2", "maximize", "R2", "{:.3f}"),
    )

    def __post_init__(self) -> None:
        if type(self.n_outputs) is not int or self.n_outputs < 1:
            raise ValueError(
                f"Expected argument `n_outputs` to be at least 1 but got {self.n_outputs!r}."
            )
        for name, default in [("mean", 0.0), ("std", 1.0)]:
            values = tuple(float(value) for value in getattr(self, name))
            values = values or (default,) * self.n_outputs
            fits = len(values) == self.n_outputs and all(map(math.isfinite, values))
            if not fits or (name == "std" and not min(values) > 0):
                raise ValueError(
                    f"Expected argument `{name}` to be {self.n_outputs} finite numbers"
                    f"{' above 0' if name == 'std' else ''} but got {values}."
                )
            object.__setattr__(self, name, values)

    @classmethod
    def from_data(cls, datamodule: pl.LightningDataModule, **settings: Any) -> Self:
        mean = _numbers(getattr(datamodule, "target_mean", None))
        std = _numbers(getattr(datamodule, "target_std", None))
        n_outputs = int(getattr(datamodule, "n_targets", len(mean) or 1))
        if n_outputs < 1:
            raise ValueError(
                "Expected argument `datamodule` to have values to predict for regression but got "
                f"{type(datamodule).__name__} with classes."
            )
        return cls(**{"n_outputs": n_outputs, "mean": mean, "std": std, **settings})

    def head(self, backbone: Backbone) -> nn.Module:
        return nn.Linear(backbone.n_features, self.n_outputs)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        output = _precise(output)
        return F.mse_loss(output, self.scaled(target).to(output).reshape(output.shape))

    def make_metrics(self) -> dict[str, torchmetrics.Metric]:
        n = self.n_outputs
        return {
            "rmse": _InUnits(MeanSquaredError(squared=False, num_outputs=n), self),
            "mae": _InUnits(MeanAbsoluteError(num_outputs=n), self),
            "r2": _InUnits(R2Score(), self, has_units=False),
        }

    def predict(self, output: Tensor) -> Tensor:
        values = _precise(output)
        return values * _constant(self.std, values) + _constant(self.mean, values)

    def scaled(self, target: Tensor) -> Tensor:
        """Return targets as the network is to predict them.

        Args:
            target: Targets of shape (batch,) or (batch, n_outputs), in their own units.

        Returns:
            Their distance from the mean in standard deviations, (batch, n_outputs).
        """
        values = _precise(target).reshape(-1, self.n_outputs)
        return (values - _constant(self.mean, values)) / _constant(self.std, values)

    def describe(self, prediction: Tensor) -> dict[str, str]:
        return {"prediction": ", ".join(f"{float(value):.4g}" for value in prediction.reshape(-1))}

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.n_outputs,)

    @property
    def guess_loss(self) -> float:
        return 1.0


def _numbers(values: Any) -> tuple[float, ...]:
    """Return a number, or several in a list, an array or a tensor, as a tuple; none for None."""
    if values is None:
        return ()
    return tuple(torch.as_tensor(values, dtype=torch.float64).flatten().tolist())


def _precise(values: Tensor) -> Tensor:
    """Return values in single precision at least, as half of it is too little for large means."""
    return values if values.dtype == torch.float64 else values.float()


def _constant(numbers: tuple[float, ...], like: Tensor) -> Tensor | float:
    """Return numbers that can be multiplied with a tensor (..., n)."""
    if len(numbers) == 1:
        return numbers[0]
    # Out of page-locked memory, else the program would wait for the copy to a GPU.
    found = torch.tensor(numbers, dtype=like.dtype, device="cpu", pin_memory=like.is_cuda)
    return found.to(like.device, non_blocking=True)


class _InUnits(WrapperMetric):
    """The mean over the targets of a metric, in the targets' units.

    What it keeps is scaled: sums of squares of large values would lose their digits.

    Args:
        metric: Takes predictions and targets, (batch,) or (batch, n_outputs).
        task: Says what an output predicts.
        has_units: Whether the metric has the units of the targets.
    """

    def __init__(
        self, metric: torchmetrics.Metric, task: Regression, *, has_units: bool = True
    ) -> None:
        super().__init__()
        self.metric = metric
        self.task = task
        self.has_units = has_units

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take a batch of outputs and targets."""
        self.metric.update(*self._scaled(output, target))

    def compute(self) -> Tensor:
        """Return the metric of all batches."""
        return self._in_units(self.metric.compute())

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self.metric.reset()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the metric of one batch, and take it."""
        return self._in_units(self.metric(*self._scaled(output, target)))

    def _scaled(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        predicted = _precise(output)
        wanted = self.task.scaled(target).to(predicted).reshape(predicted.shape)
        if self.task.n_outputs == 1:
            return predicted.flatten(), wanted.flatten()
        return predicted, wanted

    def _in_units(self, value: Tensor) -> Tensor:
        if self.has_units:
            value = value * _constant(self.task.std, value)
        return value.mean()


TASK = Regression
