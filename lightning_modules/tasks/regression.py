"""The task of predicting numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Self

import pytorch_lightning as pl
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
        if self.n_outputs < 1:
            raise ValueError(
                f"Expected argument `n_outputs` to be at least 1 but got {self.n_outputs}."
            )
        for name, default in [("mean", 0.0), ("std", 1.0)]:
            values = tuple(float(value) for value in getattr(self, name))
            values = values or (default,) * self.n_outputs
            if len(values) != self.n_outputs or (name == "std" and not min(values) > 0):
                raise ValueError(
                    f"Expected argument `{name}` to be {self.n_outputs} numbers"
                    f"{' above 0' if name == 'std' else ''} but got {values}."
                )
            object.__setattr__(self, name, values)

    @classmethod
    def from_data(cls, datamodule: pl.LightningDataModule, **settings: Any) -> Self:
        mean = tuple(getattr(datamodule, "target_mean", ()))
        std = tuple(getattr(datamodule, "target_std", ()))
        n_outputs = int(getattr(datamodule, "n_targets", len(mean) or 1))
        return cls(**{"n_outputs": n_outputs, "mean": mean, "std": std, **settings})

    def head(self, backbone: Backbone) -> nn.Module:
        return nn.Linear(backbone.n_features, self.n_outputs)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        mean, std = self._scale(output)
        return F.mse_loss(output, (target.reshape(output.shape) - mean) / std)

    def make_metrics(self) -> dict[str, torchmetrics.Metric]:
        n = self.n_outputs
        return {
            "rmse": _InUnits(MeanSquaredError(squared=False, num_outputs=n), self),
            "mae": _InUnits(MeanAbsoluteError(num_outputs=n), self),
            "r2": _InUnits(R2Score(), self),
        }

    def predict(self, output: Tensor) -> Tensor:
        mean, std = self._scale(output)
        return output * std + mean

    def _scale(self, output: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """Return mean and standard deviation; a single number is not copied to the device."""
        if self.n_outputs == 1:
            return self.mean[0], self.std[0]
        return output.new_tensor(self.mean), output.new_tensor(self.std)

    def describe(self, prediction: Tensor) -> dict[str, str]:
        return {"prediction": ", ".join(f"{float(value):.4g}" for value in prediction.reshape(-1))}

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.n_outputs,)

    @property
    def guess_loss(self) -> float:
        return 1.0


class _InUnits(WrapperMetric):
    """The mean over the targets of a metric of predictions in the targets' units.

    Args:
        metric: Takes predictions and targets, (batch,) or (batch, n_outputs).
        task: Says what an output predicts.
    """

    def __init__(self, metric: torchmetrics.Metric, task: Regression) -> None:
        super().__init__()
        self.metric = metric
        self.task = task

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take a batch of outputs and targets."""
        self.metric.update(*self._in_units(output, target))

    def compute(self) -> Tensor:
        """Return the metric of all batches."""
        value: Tensor = self.metric.compute()
        return value.mean()

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self.metric.reset()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the metric of one batch, and take it."""
        value: Tensor = self.metric(*self._in_units(output, target))
        return value.mean()

    def _in_units(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        prediction = self.task.predict(output.float())
        if self.task.n_outputs == 1:
            prediction = prediction.flatten()
        return prediction, target.to(prediction).reshape(prediction.shape)


TASK = Regression
