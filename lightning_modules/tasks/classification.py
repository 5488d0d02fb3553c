"""The task of telling classes apart."""

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
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.classification import MulticlassAUROC
from torchmetrics.classification import MulticlassF1Score

from lightning_modules.backbone import Backbone
from lightning_modules.tasks._base import Task
from optuna_nas.metrics import Metric


@dataclass(frozen=True)
class Classification(Task):
    """One class for each sample: a linear head, cross-entropy in nats, accuracy in [0, 1].

    F1 and AUROC, both in [0, 1] and the mean over the classes, are measured where they are asked
    for.

    The output is logits (batch, num_classes), the target classes, int64 of shape (batch,), and the
    prediction probabilities (batch, num_classes).

    Args:
        num_classes: Number of classes, at least 2: the loss of a single one is always 0.
        class_names: Their names in the order of the logits; by default their numbers.
        label_smoothing: In training steps alone, in [0, 1); Szegedy et al., CVPR 2016, section 7.

    Raises:
        ValueError: If a number is out of its range, or there is not a name for each class.
    """

    num_classes: int
    class_names: tuple[str, ...] = ()
    label_smoothing: float = 0.0

    metrics = (
        Metric("accuracy", "maximize", "accuracy", "{:.2%}"),
        Metric("f1", "maximize", "F1", "{:.3f}"),
        Metric("auroc", "maximize", "AUROC", "{:.4f}"),
    )
    costly_metrics = frozenset({"f1", "auroc"})

    def __post_init__(self) -> None:
        names: Any = self.class_names
        if type(self.num_classes) is not int or self.num_classes < 2:
            raise ValueError(
                f"Expected argument `num_classes` to be at least 2 but got {self.num_classes!r}."
            )
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"Expected argument `class_names` to be a list of texts but got {names!r}."
            )
        object.__setattr__(self, "class_names", tuple(names))
        if self.class_names and len(self.class_names) != self.num_classes:
            raise ValueError(
                f"Expected argument `class_names` to be {self.num_classes} names but got "
                f"{len(self.class_names)}."
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                "Expected argument `label_smoothing` to be in [0, 1) but got "
                f"{self.label_smoothing}."
            )

    @classmethod
    def from_data(cls, datamodule: pl.LightningDataModule, **settings: Any) -> Self:
        names = tuple(map(str, getattr(datamodule, "class_names", None) or ()))
        number = settings.get("num_classes", getattr(datamodule, "num_classes", None))
        if number is None:
            number = len(names)
        if not number:
            raise ValueError(
                "Expected argument `datamodule` to have classes for classification, by its "
                "attribute `class_names` or `num_classes`, but got "
                f"{type(datamodule).__name__} without."
            )
        names = names if len(names) == number else ()
        return cls(**{"num_classes": int(number), "class_names": names, **settings})

    def head(self, backbone: Backbone) -> nn.Module:
        return nn.Linear(backbone.n_features, self.num_classes)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target)

    def training_loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target, label_smoothing=self.label_smoothing)

    def make_metrics(self) -> dict[str, torchmetrics.Metric]:
        # Averaged over samples ("micro"). The labels are checked once by the data, not here.
        n = self.num_classes
        return {
            "accuracy": _Accuracy(n, average="micro", validate_args=False),
            "f1": MulticlassF1Score(n, average="macro", validate_args=False),
            "auroc": MulticlassAUROC(n, average="macro", validate_args=False),
        }

    def predict(self, output: Tensor) -> Tensor:
        return torch.softmax(output, dim=1)

    def describe(self, prediction: Tensor) -> dict[str, str]:
        best = int(prediction.argmax())
        name = self.class_names[best] if self.class_names else str(best)
        return {"class": name, "probability": f"{float(prediction[best]):.3f}"}

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.num_classes,)

    @property
    def guess_loss(self) -> float:
        return math.log(self.num_classes)


class _Accuracy(MulticlassAccuracy):
    """The accuracy, which refuses real values in the place of classes."""

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take a batch of outputs and targets."""
        # Cross-entropy takes them for probabilities, so nothing else would tell.
        if target.is_floating_point():
            raise ValueError(
                "Expected the targets to be classes, integers of shape (batch,), but got "
                f"{target.dtype} of shape {tuple(target.shape)}."
            )
        super().update(output, target)


TASK = Classification
