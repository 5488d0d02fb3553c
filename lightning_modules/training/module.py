"""The Lightning module that trains a network for a task."""

from __future__ import annotations

from collections.abc import Sequence
import math
import sys
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.data import extract_batch_size
from pytorch_lightning.utilities.types import OptimizerLRScheduler
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import Metric
from torchmetrics.aggregation import MeanMetric

from lightning_modules.tasks import Task
from lightning_modules.tasks import task_from_dict
from lightning_modules.tasks import task_to_dict
from lightning_modules.training.schedule import check_name
from lightning_modules.training.schedule import learning_rate_factor
from lightning_modules.training.schedule import SCHEDULES


OPTIMIZERS = ("adamw", "sgd")
"""Names of the optimizers of :class:`TaskModule`."""


class TaskModule(pl.LightningModule):
    """Trains a network for a task; knows nothing of where the network comes from.

    A batch is (inputs, targets): the network takes the inputs as they are, one tensor of any
    shape, a tuple or a dict. It logs ``train_loss``, ``val_loss`` and ``test_loss``, and the
    metrics of the task for validation and test, e.g. ``val_r2``, each once an epoch.

    Args:
        network: Maps inputs to the output that the task's loss takes. A
            :class:`~lightning_modules.Backbone` gets the task's head.
        task: What it is trained for, or its description in plain types, see
            :func:`~lightning_modules.tasks.task_to_dict`.
        metrics: Names of values of the task that have to be logged, such as ``val_f1``, besides
            those that it always measures.
        learning_rate: The largest learning rate of the schedule. :obj:`None` is 0.01 for
            ``"adamw"`` and 0.1 for ``"sgd"``.
        weight_decay: Weight decay; decoupled for ``"adamw"``.
        optimizer: ``"adamw"`` (Loshchilov & Hutter, ICLR 2019) or ``"sgd"`` with Nesterov momentum
            0.9.
        schedule: ``"one_cycle"``, ``"cosine"`` or ``"constant"``; see
            :func:`~lightning_modules.training.learning_rate_factor`.
        channels_last: Keep 4-dimensional weights, and with them all maps, in the memory format
            ``channels_last``; on the CPU it trains small convolutional networks 1.2 to 1.6 times
            faster. It does nothing for networks with 5-dimensional weights.

    Raises:
        ValueError: If an argument is unknown or out of its range.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task | dict[str, Any],
        *,
        metrics: Sequence[str] = (),
        learning_rate: float | None = None,
        weight_decay: float = 5e-4,
        optimizer: str = "adamw",
        schedule: str = "one_cycle",
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        check_training_arguments(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
        )
        self.task = task if isinstance(task, Task) else task_from_dict(task)
        # Given the frame, Lightning does not make a reference cycle that keeps the network alive.
        self.save_hyperparameters(ignore=["network", "task", "metrics"], frame=sys._getframe())
        self.hparams["task"] = task_to_dict(self.task)
        if learning_rate is None:
            learning_rate = 0.01 if optimizer == "adamw" else 0.1
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.schedule = schedule
        network = self.task.network(network)
        if channels_last and all(p.ndim <= 4 for p in network.parameters()):
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.train_loss = MeanMetric(nan_strategy="disable")  # A NaN shows that it diverged.
        self.val_metrics = self._make_metrics(metrics)
        self.test_metrics = self._make_metrics(metrics)

    def forward(self, inputs: Any) -> Any:
        """Map inputs to the output of the network."""
        return self.network(inputs)

    def on_train_epoch_start(self) -> None:
        """Log the training loss, which Lightning reads when the epoch ends."""
        # Not in each step, which would make small networks train 5% slower on a CPU.
        self.log("train_loss", self.train_loss, on_step=False, on_epoch=True)

    def training_step(self, batch: tuple[Any, Any], batch_idx: int) -> torch.Tensor:
        """Return the loss of a batch of inputs and targets, a scalar."""
        inputs, targets = batch
        loss = self.task.training_loss(self(inputs), targets)
        # The mean is over samples.
        self.train_loss.update(loss.detach().expand(_batch_size(batch)))
        return loss

    def validation_step(self, batch: tuple[Any, Any], batch_idx: int) -> None:
        """Measure a batch of inputs and targets."""
        self._evaluate("val", self.val_metrics, batch)

    def test_step(self, batch: tuple[Any, Any], batch_idx: int) -> None:
        """Measure a batch of inputs and targets."""
        self._evaluate("test", self.test_metrics, batch)

    def predict_step(self, batch: Any, batch_idx: int = 0) -> Any:
        """Return the task's predictions for inputs.

        Args:
            batch: Inputs, alone or in a list or named tuple before their targets.
            batch_idx: Ignored.
        """
        inputs = batch[0] if isinstance(batch, list | tuple) else batch
        return self.task.predict(self(inputs))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer and the schedule over all steps of the trainer."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        # On the CPU the loop over small tensors is a tenth of the training time.
        fused = True if self.device.type == "cpu" else None
        optimizer: torch.optim.Optimizer
        if self.optimizer == "adamw":
            optimizer = torch.optim.AdamW(
                parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=fused
            )
        else:
            optimizer = torch.optim.SGD(
                parameters,
                lr=self.learning_rate,
                momentum=0.9,
                nesterov=True,
                weight_decay=self.weight_decay,
                fused=fused,
            )
        if self.schedule == "constant":
            return optimizer
        schedule, total = self.schedule, self.trainer.estimated_stepping_batches
        if math.isinf(total):
            raise ValueError(
                f"Expected the trainer to have `max_epochs` or `max_steps` for {schedule=}."
            )
        if total < 1:
            raise ValueError("Expected the training data to have a batch at least but got none.")
        scheduler = LambdaLR(optimizer, lambda step: learning_rate_factor(schedule, step / total))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _make_metrics(self, wanted: Sequence[str]) -> nn.ModuleDict:
        known = self.task.trained_metrics()
        if unknown := sorted({*wanted} - {*known}):
            raise ValueError(
                f"Expected argument `metrics` to be of {', '.join(known)} but got {unknown}."
            )
        return nn.ModuleDict(dict(self.task.metrics_for(wanted)))

    def _evaluate(self, stage: str, metrics: nn.ModuleDict, batch: tuple[Any, Any]) -> None:
        inputs, targets = batch
        output = self(inputs)
        for metric in metrics.values():
            assert isinstance(metric, Metric)
            metric.update(output, targets)
        values: dict[str, Any] = {f"{stage}_{name}": metric for name, metric in metrics.items()}
        self.log_dict(
            values | {f"{stage}_loss": self.task.loss(output, targets)},
            on_step=False,
            on_epoch=True,
            prog_bar=True,
            batch_size=_batch_size(batch),
            sync_dist=self.trainer.world_size > 1,
        )


def _batch_size(batch: tuple[Any, Any]) -> int:
    """Return the number of samples; targets in a list or dict may have sizes of their own."""
    inputs, targets = batch
    return extract_batch_size(targets if isinstance(targets, torch.Tensor) else inputs)


def check_training_arguments(
    *,
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
    optimizer: str = OPTIMIZERS[0],
    schedule: str = SCHEDULES[0],
) -> None:
    """Raise a ValueError if an argument of :class:`TaskModule` is out of its range."""
    if learning_rate is not None and not learning_rate > 0:
        raise ValueError(
            f"Expected argument `learning_rate` to be above 0 but got {learning_rate}."
        )
    if not weight_decay >= 0:
        raise ValueError(
            f"Expected argument `weight_decay` to be at least 0 but got {weight_decay}."
        )
    check_name("optimizer", optimizer, OPTIMIZERS)
    check_name("schedule", schedule, SCHEDULES)
