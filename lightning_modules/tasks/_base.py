"""What every task is: the head, the loss, the metrics and the meaning of a prediction."""

from __future__ import annotations

import abc
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import ClassVar
from typing import Self

import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor
from torch.utils._pytree import tree_leaves
import torchmetrics

from lightning_modules.backbone import Backbone
from lightning_modules.backbone import Build
from lightning_modules.backbone import Network
from optuna_nas import Architecture
from optuna_nas.metrics import Metric
from optuna_nas.metrics import METRICS


Loss = Callable[[Any, Any], Tensor]
"""From the output for a batch and its targets to the mean loss, a scalar."""


class Task(abc.ABC):
    """What networks are trained for.

    A task is a small, frozen dataclass of plain values, such as the number of outputs. One that is
    a file of this package, an entry point of another, or ``FILE.py:NAME`` is used by its name.
    :meth:`from_data` makes it for a data module.
    """

    metrics: ClassVar[Sequence[Metric]]
    """What is measured on validation and test data besides the loss, the most telling first."""
    costly_metrics: ClassVar[Collection[str]] = frozenset()
    """Names of those of :attr:`metrics` that are measured only where they are asked for."""
    reads_maps: ClassVar[bool] = False
    """Whether the head reads the backbone's feature maps, not its feature vector."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for metric in cls.__dict__.get("metrics", ()):
            METRICS.add(metric)

    @classmethod
    @abc.abstractmethod
    def from_data(cls, datamodule: pl.LightningDataModule, **settings: Any) -> Self:
        """Return the task for a data module that has been set up.

        Args:
            datamodule: The data module.
            settings: Fields of the task that do not come from the data.

        Raises:
            ValueError: If the data module does not tell what the task needs to know.
        """

    @abc.abstractmethod
    def head(self, backbone: Backbone) -> nn.Module:
        """Return a new head for a backbone; see :class:`~lightning_modules.Network`."""

    @abc.abstractmethod
    def loss(self, output: Any, target: Any) -> Tensor:
        """Return the mean loss of a batch, a scalar that supernets and proxies use as well.

        Args:
            output: What the network returned.
            target: The targets of the batch, or what :meth:`predict` made of another output.
        """

    def training_loss(self, output: Any, target: Any) -> Tensor:
        """Return the loss of a training step; by default :meth:`loss`."""
        return self.loss(output, target)

    @abc.abstractmethod
    def make_metrics(self) -> Mapping[str, torchmetrics.Metric]:
        """Return new torchmetrics by the names of :attr:`metrics`; they take (output, target)."""

    @abc.abstractmethod
    def predict(self, output: Any) -> Any:
        """Return what an output says, e.g. probabilities of classes."""

    def describe(self, prediction: Any) -> dict[str, str]:
        """Return the prediction for one sample as a person reads it, by the heading of a column.

        Args:
            prediction: One row of what :meth:`predict` returned.
        """
        return {"prediction": str(torch.as_tensor(prediction).tolist())}

    @property
    def output_shape(self) -> tuple[int, ...] | None:
        """Shape of the output for one sample, None if it has no single one."""
        return None

    @property
    def guess_loss(self) -> float | None:
        """The loss of a network that has learned nothing but the mean, None if unknown."""
        return None

    @staticmethod
    def augment(
        inputs: Any, target: Any, transform: Callable[[Tensor], Tensor]
    ) -> tuple[Any, Any]:
        """Apply a random transform of images to a batch; by default the targets stay.

        Args:
            inputs: Images (batch, channels, height, width).
            target: Their targets.
            transform: The same shift and mirroring for each call.
        """
        return transform(inputs), target

    # What follows from these.

    @classmethod
    def primary(cls) -> str:
        """Return what a search optimises and early stopping follows, e.g. ``"val_r2"``."""
        return cls.trained_metrics()[0]

    def metrics_for(self, wanted: Sequence[str] = ()) -> dict[str, torchmetrics.Metric]:
        """Return new metrics: those that are always measured, and those that are wanted.

        Args:
            wanted: Names with or without a split, such as ``val_f1``. Others than of
                :attr:`metrics` are left out.
        """
        names = {name.partition("_")[2] or name for name in wanted}
        return {
            name: metric
            for name, metric in self.make_metrics().items()
            if name in names or name not in self.costly_metrics
        }

    @classmethod
    def trained_metrics(cls) -> tuple[str, ...]:
        """Return the names of all that a training can log each epoch."""
        return (*(f"val_{metric.name}" for metric in cls.metrics), "val_loss", "train_loss")

    def score(self, output: Any, target: Any) -> Tensor:
        """Return the first metric on one batch, negated if less is better, a scalar."""
        if not self.metrics:
            return -self.loss(output, target)
        metric = self.make_metrics()[self.metrics[0].name]
        for leaf in tree_leaves((output, target)):
            if isinstance(leaf, Tensor):
                metric = metric.to(leaf.device)
                break
        value: Tensor = metric(output, target)
        return value if self.metrics[0].maximize else -value

    def network(self, module: nn.Module) -> nn.Module:
        """Return a backbone with a new head; any other module as it is."""
        if not isinstance(module, Backbone):
            return module
        return Network(module, self.head(module), reads_maps=self.reads_maps)

    def builder(self, build: Build) -> Build:
        """Return the function from an architecture to a network with the head of this task."""
        return build if isinstance(build, BuildWithHead) else BuildWithHead(build, self)


@dataclass(frozen=True)
class BuildWithHead:
    """Makes the network of an architecture, and adds a task's head to a backbone.

    Args:
        build: Makes the backbone, or a whole network.
        task: The task.
    """

    build: Build
    task: Task

    def __call__(self, architecture: Architecture) -> nn.Module:
        """Return a network for the task."""
        return self.task.network(self.build(architecture))
