"""The training task: an image classifier around any network."""

from __future__ import annotations

import math
import sys

import pytorch_lightning as pl
from pytorch_lightning.utilities.types import OptimizerLRScheduler
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics.aggregation import MeanMetric
from torchmetrics.classification import MulticlassAccuracy


OPTIMIZERS = ("adamw", "sgd")
"""Names of the optimizers of :class:`ImageClassifier`."""
SCHEDULES = ("one_cycle", "cosine", "constant")
"""Names of the learning rate schedules of :class:`ImageClassifier`."""

_WARM_UP = 0.3
_INITIAL_FACTOR = 0.04


class ImageClassifier(pl.LightningModule):
    """Trains a network by cross-entropy; knows nothing of where the network comes from.

    It logs ``train_loss``, ``val_loss`` and ``test_loss`` (mean cross-entropy in nats, label
    smoothing in training only) and ``val_accuracy`` and ``test_accuracy`` in [0, 1], each once an
    epoch.

    Args:
        network: Maps images (batch, channels, height, width) to logits (batch, num_classes).
        num_classes: Number of classes.
        learning_rate: The largest learning rate of the schedule. :obj:`None` is 0.01 for
            ``"adamw"`` and 0.1 for ``"sgd"``.
        weight_decay: Weight decay; decoupled for ``"adamw"``.
        optimizer: ``"adamw"`` (Loshchilov & Hutter, ICLR 2019) or ``"sgd"`` with Nesterov momentum
            0.9.
        schedule: ``"one_cycle"``, ``"cosine"`` or ``"constant"``; see
            :func:`learning_rate_factor`.
        label_smoothing: In [0, 1); Szegedy et al., CVPR 2016, section 7.
        channels_last: Keep 4-dimensional weights, and with them all maps, in the memory format
            ``channels_last``; on the CPU it trains small convolutional networks 1.2 to 1.6 times
            faster. Turn it off for networks with 5-dimensional weights.

    Raises:
        ValueError: If an argument is unknown or out of its range.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        num_classes: int,
        learning_rate: float | None = None,
        weight_decay: float = 5e-4,
        optimizer: str = "adamw",
        schedule: str = "one_cycle",
        label_smoothing: float = 0.0,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        check_training_arguments(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
            label_smoothing=label_smoothing,
        )
        if num_classes < 1:
            raise ValueError(
                f"Expected argument `num_classes` to be at least 1 but got {num_classes}."
            )
        # Given the frame, Lightning does not make a reference cycle that keeps the network alive.
        self.save_hyperparameters(ignore=["network"], frame=sys._getframe())
        if learning_rate is None:
            learning_rate = 0.01 if optimizer == "adamw" else 0.1
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.schedule = schedule
        if channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.label_smoothing = label_smoothing
        self.train_loss = MeanMetric(nan_strategy="disable")  # A NaN shows that it diverged.
        # Averaged over samples ("micro"). The labels are checked once by the data, not here.
        self.val_accuracy = MulticlassAccuracy(num_classes, average="micro", validate_args=False)
        self.test_accuracy = MulticlassAccuracy(num_classes, average="micro", validate_args=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (batch, channels, height, width) to logits (batch, num_classes)."""
        logits: torch.Tensor = self.network(images)
        return logits

    def on_train_epoch_start(self) -> None:
        """Log the training loss, which Lightning reads when the epoch ends."""
        # Not in each step, which would make small networks train 5% slower on a CPU.
        self.log("train_loss", self.train_loss, on_step=False, on_epoch=True)

    def training_step(
        self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int
    ) -> torch.Tensor:
        """Return the loss of a batch of images and labels, a scalar."""
        images, labels = batch
        loss = F.cross_entropy(self(images), labels, label_smoothing=self.label_smoothing)
        self.train_loss.update(loss.detach().expand(len(labels)))  # The mean is over images.
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> None:
        """Measure a batch of images and labels."""
        self._evaluate("val", self.val_accuracy, batch)

    def test_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> None:
        """Measure a batch of images and labels."""
        self._evaluate("test", self.test_accuracy, batch)

    def predict_step(
        self, batch: torch.Tensor | tuple[torch.Tensor, ...], batch_idx: int = 0
    ) -> torch.Tensor:
        """Return the class probabilities, shape (batch, num_classes), of images.

        Args:
            batch: Images (batch, channels, height, width), alone or before their labels.
            batch_idx: Ignored.
        """
        images = batch if isinstance(batch, torch.Tensor) else batch[0]
        return torch.softmax(self(images), dim=1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer and the schedule over all steps of the trainer."""
        parameters = [p for p in self.network.parameters() if p.requires_grad]
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
        scheduler = LambdaLR(optimizer, lambda step: learning_rate_factor(schedule, step / total))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    @property
    def _distributed(self) -> bool:
        return self.trainer.world_size > 1

    def _evaluate(
        self, stage: str, accuracy: MulticlassAccuracy, batch: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        images, labels = batch
        logits = self(images)
        accuracy.update(logits, labels)
        self.log_dict(
            {f"{stage}_loss": F.cross_entropy(logits, labels), f"{stage}_accuracy": accuracy},
            on_step=False,
            on_epoch=True,
            prog_bar=True,
            batch_size=len(labels),
            sync_dist=self._distributed,
        )


def learning_rate_factor(schedule: str, progress: float) -> float:
    """Return what the largest learning rate is multiplied with.

    Args:
        schedule: ``"one_cycle"`` rises linearly from 0.04 to 1 over the first 30% and falls to 0
            along half a cosine (Smith & Topin 2019, arXiv:1708.07120, without its momentum cycle);
            ``"cosine"`` falls from 1 to 0 (Loshchilov & Hutter, ICLR 2017, equation 5, no
            restarts); ``"constant"`` is 1.
        progress: The part of the training steps that is done, in [0, 1].

    Returns:
        The factor, in [0, 1].

    Raises:
        ValueError: If ``schedule`` is unknown.

    Example:

        >>> [round(learning_rate_factor("one_cycle", p), 2) for p in (0, 0.15, 0.3, 0.65, 1)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    _check_name("schedule", schedule, SCHEDULES)
    if schedule == "constant":
        return 1.0
    if schedule == "one_cycle":
        if progress < _WARM_UP:
            return _INITIAL_FACTOR + (1 - _INITIAL_FACTOR) * progress / _WARM_UP
        progress = (progress - _WARM_UP) / (1 - _WARM_UP)
    return (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def check_training_arguments(
    *,
    learning_rate: float | None,
    weight_decay: float,
    optimizer: str,
    schedule: str,
    label_smoothing: float,
) -> None:
    """Raise a ValueError if an argument of :class:`ImageClassifier` is out of its range."""
    if learning_rate is not None and not learning_rate > 0:
        raise ValueError(
            f"Expected argument `learning_rate` to be above 0 but got {learning_rate}."
        )
    if not weight_decay >= 0:
        raise ValueError(
            f"Expected argument `weight_decay` to be at least 0 but got {weight_decay}."
        )
    if not 0 <= label_smoothing < 1:
        raise ValueError(
            f"Expected argument `label_smoothing` to be in [0, 1) but got {label_smoothing}."
        )
    _check_name("optimizer", optimizer, OPTIMIZERS)
    _check_name("schedule", schedule, SCHEDULES)


def _check_name(argument: str, value: str, names: tuple[str, ...]) -> None:
    if value not in names:
        raise ValueError(
            f"Expected argument `{argument}` to be one of {list(names)} but got {value!r}."
        )
