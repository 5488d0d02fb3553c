"""What a path of a trained supernet is worth, and the search for the best one."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader
from torchmetrics.functional.classification import multiclass_accuracy

from lightning_modules.costs.meter import ArchitectureCosts
from lightning_modules.costs.meter import cost_names
from lightning_modules.costs.meter import CostMeter
from lightning_modules.supernet._supernet import Supernet
from optuna_nas import Architecture
from optuna_nas import Evaluation
from optuna_nas.evaluation import Report


_SCORES = ("val_accuracy", "val_loss")


class SupernetEvaluator:
    """Scores an architecture with inherited weights; see :class:`~optuna_nas.Evaluator`.

    Before, the statistics of its normalisation are measured anew on training images, as those of
    the supernet are a mixture of all paths (Guo et al., ECCV 2020, section 3.4; Yu & Huang, ICCV
    2019, section 3.3). Nothing is trained. The supernet is not changed.

    Args:
        supernet: The trained supernet.
        train_batches: Batches of images, alone or with labels, for the statistics; kept in memory.
        val_batches: Batches of images and labels on which the accuracy is measured; likewise.
        metrics: Names of the values to return: ``val_accuracy`` in [0, 1], ``val_loss`` in nats,
            and names of :func:`~lightning_modules.costs.cost_names`.
        costs: Where the cost metrics come from, e.g. those of a
            :class:`~lightning_modules.TrainingEvaluator`; by default they are measured on the
            supernet's device, one image at a time.

    Raises:
        ValueError: If there are no batches or a metric is unknown.
    """

    def __init__(
        self,
        supernet: Supernet,
        train_batches: list[Any],
        val_batches: list[Any],
        *,
        metrics: Sequence[str] = _SCORES,
        costs: ArchitectureCosts | None = None,
    ) -> None:
        known = (*_SCORES, *cost_names())
        if isinstance(metrics, str) or not metrics or not set(metrics) <= set(known):
            raise ValueError(
                f"Expected argument `metrics` to be names of {list(known)} but got {metrics!r}."
            )
        for name, batches in [("train_batches", train_batches), ("val_batches", val_batches)]:
            if not batches:
                raise ValueError(f"Expected argument `{name}` to have batches but got none.")
        self.supernet = supernet
        self.train_batches = train_batches
        self.val_batches = val_batches
        self.metrics = tuple(metrics)
        if costs is None:
            meter = CostMeter(next(supernet.parameters()).device)
            meter.check(metrics)
            costs = ArchitectureCosts(supernet.build, meter)
        self.costs = costs

    @classmethod
    def from_data(
        cls,
        supernet: Supernet,
        datamodule: Any,
        *,
        train_images: int = 500,
        val_images: int = 2000,
        metrics: Sequence[str] = _SCORES,
        costs: ArchitectureCosts | None = None,
    ) -> SupernetEvaluator:
        """Take the batches from a data module.

        Args:
            supernet: The trained supernet.
            datamodule: A data module with a training and a validation loader, set up.
            train_images: Least number of images for the statistics, if there are as many.
            val_images: Least number of images for the accuracy, if there are as many.
            metrics: See :class:`SupernetEvaluator`, as for the next.
            costs: Where the cost metrics come from.
        """
        device = next(supernet.parameters()).device
        return cls(
            supernet,
            _first(datamodule.train_dataloader(), train_images, device),
            _first(datamodule.val_dataloader(), val_images, device),
            metrics=metrics,
            costs=costs,
        )

    def __call__(self, architecture: Architecture, *, report: Report | None = None) -> Evaluation:
        """Score an architecture.

        Args:
            architecture: A member of the supernet's space.
            report: Never called, as there are no epochs.

        Returns:
            The metrics that were asked for, in their order.

        Raises:
            ValueError: If ``architecture`` is no member of the supernet's space.
        """
        network = self.supernet.network_of(self.supernet.space.require_member(architecture))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        known = self.costs.take(architecture)
        wanted = [name for name in self.metrics if name in cost_names() and name not in known]
        shape = tuple(self.val_batches[0][0].shape[1:])
        measured = known | self.costs.meter.measure(wanted, network, shape)
        if set(self.metrics) & set(_SCORES):
            measured |= self._score(network)
        return Evaluation({name: measured[name] for name in self.metrics})

    def cost(self, metric: str, architecture: Architecture) -> float:
        """Return a cost metric; see :meth:`lightning_modules.TrainingEvaluator.cost`.

        Args:
            metric: A name of :func:`~lightning_modules.costs.cost_names`.
            architecture: A member of the supernet's space.

        Raises:
            ValueError: If the metric is unknown.
        """
        if metric not in cost_names():
            raise ValueError(
                f"Expected argument `metric` to be one of {cost_names()} but got {metric!r}."
            )
        channels, height, width = self.val_batches[0][0].shape[1:]
        return self.costs.value(metric, architecture, (channels, height, width))

    def _score(self, network: nn.Module) -> dict[str, float]:
        recalibrate(network, self.train_batches)
        network.eval()
        with torch.inference_mode():
            logits = torch.cat([network(images) for images, _ in self.val_batches]).float()
        labels = torch.cat([labels for _, labels in self.val_batches])
        accuracy = multiclass_accuracy(
            logits, labels, self.supernet.num_classes, average="micro", validate_args=False
        )
        return {
            "val_accuracy": float(accuracy),
            "val_loss": float(nn.functional.cross_entropy(logits, labels)),
        }


def recalibrate(network: nn.Module, batches: list[Any]) -> None:
    """Measure the statistics of all batch normalisation anew, as the mean over batches.

    Args:
        network: The network.
        batches: Images, alone or before their labels.
    """
    update_bn(batches, network)


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Let batch normalisation use the statistics of each batch and leave those it has as found."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    found = [(norm.training, norm.track_running_stats) for norm in norms]
    try:
        for norm in norms:
            norm.train()
            norm.track_running_stats = False
        yield
    finally:
        for norm, (training, tracks) in zip(norms, found, strict=True):
            norm.train(training)
            norm.track_running_stats = tracks


def _first(loader: DataLoader[Any], n: int, device: torch.device) -> list[Any]:
    batches: list[Any] = []
    seen = 0
    for images, labels in loader:
        batches.append((images.to(device), labels.to(device)))
        seen += len(labels)
        if seen >= n:
            break
    return batches
