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
        for name, default, least in [("mean", 0.0, -math.inf), ("std", 1.0, 0.0)]:
            given: Any = getattr(self, name)
            is_list = isinstance(given, list | tuple)
            values = tuple(given) if is_list and given else (default,) * self.n_outputs
            fits = is_list and len(values) == self.n_outputs
            if not fits or not all(_is_number(value) and value > least for value in values):
                raise ValueError(
                    f"Expected argument `{name}` to be {self.n_outputs} finite numbers"
                    f"{' above 0' if name == 'std' else ''} but got {given!r}."
                )
            object.__setattr__(self, name, tuple(map(float, values)))

    @classmethod
    def from_data(cls, datamodule: pl.LightningDataModule, **settings: Any) -> Self:
        mean = tuple(getattr(datamodule, "target_mean", None) or ())
        std = tuple(getattr(datamodule, "target_std", None) or ())
        number = getattr(datamodule, "n_targets", len(mean) or 1)
        if not settings.get("n_outputs", number):
            raise ValueError(
                "Expected argument `datamodule` to have values to predict for regression but got "
                f"{type(datamodule).__name__}, whose targets are classes."
            )
        return cls(**{"n_outputs": int(number), "mean": mean, "std": std, **settings})

    def head(self, backbone: Backbone) -> nn.Module:
        return nn.Linear(backbone.n_features, self.n_outputs)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(*self.scaled(output, target))

    def make_metrics(self) -> dict[str, torchmetrics.Metric]:
        n = self.n_outputs
        return {
            "rmse": _Scaled(MeanSquaredError(squared=False, num_outputs=n), self, self.std),
            "mae": _Scaled(MeanAbsoluteError(num_outputs=n), self, self.std),
            "r2": _Scaled(R2Score(), self),  # It has no unit.
        }

    def predict(self, output: Tensor) -> Tensor:
        mean, std = self._moments(output)
        return _wide(output) * std + mean

    def scaled(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and targets in units of the standard deviation around the mean.

        Args:
            output: Of shape (batch, n_outputs).
            target: In its own units, of shape (batch,) or (batch, n_outputs).

        Returns:
            Both of shape (batch, n_outputs), in float32 at least.

        Raises:
            ValueError: If there is not a target for each output.
        """
        if target.numel() != output.numel():
            raise ValueError(
                f"Expected the targets to have shape {tuple(output.shape)}, as the outputs have, "
                f"but got {tuple(target.shape)}."
            )
        mean, std = self._moments(output)
        output, target = _wide(output), _wide(target).reshape(output.shape)
        return output, ((target - mean) / std).to(output.dtype)

    def _moments(self, output: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """Return mean and standard deviation; the device is not waited for."""
        if self.n_outputs == 1:
            return self.mean[0], self.std[0]
        kind = _wide(output).dtype
        mean, std = (torch.tensor(v, dtype=kind, device="cpu") for v in (self.mean, self.std))
        return mean.to(output.device, non_blocking=True), std.to(output.device, non_blocking=True)

    def describe(self, prediction: Tensor) -> dict[str, str]:
        return {"prediction": ", ".join(f"{float(value):.4g}" for value in prediction.reshape(-1))}

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.n_outputs,)

    @property
    def guess_loss(self) -> float:
        return 1.0


class _Scaled(WrapperMetric):
    """The mean over the targets of a metric of scaled outputs and targets.

    Far from zero the sums of squares of targets in their own units have no digits left.

    Args:
        metric: Takes outputs and targets, (batch,) or (batch, n_outputs).
        task: Scales them.
        unit: What the metric of each target is multiplied with; nothing without it.
    """

    def __init__(
        self, metric: torchmetrics.Metric, task: Regression, unit: tuple[float, ...] = ()
    ) -> None:
        super().__init__()
        self.metric = metric
        self.task = task
        self.register_buffer("unit", torch.tensor(unit or (1.0,)), persistent=False)

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take a batch of outputs and targets."""
        self.metric.update(*self._pair(output, target))

    def compute(self) -> Tensor:
        """Return the metric of all batches."""
        return self._mean(self.metric.compute())

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self.metric.reset()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the metric of one batch, and take it."""
        return self._mean(self.metric(*self._pair(output, target)))

    def _pair(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        output, target = self.task.scaled(output, target)
        if self.task.n_outputs == 1:
            return output.flatten(), target.flatten()
        return output, target

    def _mean(self, value: Tensor) -> Tensor:
        unit = self.unit
        assert isinstance(unit, Tensor)
        return (value * unit).mean()


def _wide(values: Tensor) -> Tensor:
    """Return values in float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


TASK = Regression
