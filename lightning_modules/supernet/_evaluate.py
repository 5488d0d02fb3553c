"""What a path of a trained supernet is worth."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
import math
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.data import extract_batch_size
import torch
from torch import nn
from torch import Tensor
from torch.optim.swa_utils import update_bn

from lightning_modules.costs.meter import ArchitectureCosts
from lightning_modules.costs.meter import cost_names
from lightning_modules.costs.meter import CostMeter
from lightning_modules.data._draw import draw_batches
from lightning_modules.inputs import Inputs
from lightning_modules.inputs import Sample
from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.tasks import Task
from optuna_nas import Architecture
from optuna_nas import Evaluation
from optuna_nas.evaluation import Report


class SupernetEvaluator:
    """Scores an architecture with inherited weights; see :class:`~optuna_nas.Evaluator`.

    Before, the statistics of its normalisation are measured anew on training samples, as those of
    the supernet are a mixture of all paths (Guo et al., ECCV 2020, section 3.4; Yu & Huang, ICCV
    2019, section 3.3). Nothing is trained. The supernet is not changed.

    Args:
        supernet: The trained supernet.
        train_batches: Batches of inputs, alone or with targets, for the statistics; kept in
            memory.
        val_batches: Batches of inputs and targets on which the metrics are measured; likewise.
        metrics: Names of the values to return: ``val_loss``, the task's validation metrics, and
            those of :func:`~lightning_modules.costs.cost_names`; by default those that are always
            measured on validation data.
        costs: Where the cost metrics come from, e.g. those of a
            :class:`~lightning_modules.TrainingEvaluator`; by default they are measured on the
            supernet's device, one sample at a time.

    Raises:
        ValueError: If there are no batches or a metric is unknown.
    """

    def __init__(
        self,
        supernet: Supernet,
        train_batches: list[Any],
        val_batches: list[Any],
        *,
        metrics: Sequence[str] | None = None,
        costs: ArchitectureCosts | None = None,
    ) -> None:
        metrics = validation_metrics(supernet.task) if metrics is None else metrics
        known = [*validation_metrics(supernet.task, measured=False), *cost_names()]
        if isinstance(metrics, str) or not metrics or not set(metrics) <= set(known):
            raise ValueError(
                f"Expected argument `metrics` to be names of {known} but got {metrics!r}."
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
        datamodule: pl.LightningDataModule,
        *,
        train_samples: int = 500,
        val_samples: int = 2000,
        metrics: Sequence[str] | None = None,
        costs: ArchitectureCosts | None = None,
        seed: int = 0,
    ) -> SupernetEvaluator:
        """Draw the batches from a data module, a seeded, stratified part of each split.

        Args:
            supernet: The trained supernet.
            datamodule: A data module, set up; see :func:`~lightning_modules.data.draw_batches`.
            train_samples: Number of samples for the statistics, if there are as many.
            val_samples: Number of samples for the metrics, if there are as many.
            metrics: See :class:`SupernetEvaluator`, as for the next.
            costs: Where the cost metrics come from.
            seed: Seed of the draw, at least 0.
        """
        device = next(supernet.parameters()).device
        return cls(
            supernet,
            draw_batches(datamodule, "train", train_samples, seed=seed, device=device),
            draw_batches(datamodule, "val", val_samples, seed=seed, device=device),
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
        network = in_channels_last(network)
        measured = self.costs.take(architecture)
        costs = [name for name in self.metrics if name in cost_names() and name not in measured]
        if costs:
            measured |= self.costs.meter.measure(costs, network, self._sample)
        if not set(self.metrics) <= set(measured):
            recalibrate(network, self.train_batches)
            measured |= measure(self.supernet.task, network.eval(), self.val_batches, self.metrics)
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
        return self.costs.value(metric, architecture, self._sample)

    @property
    def _sample(self) -> Sample:
        inputs = self.val_batches[0][0]
        if isinstance(inputs, Tensor) and inputs.is_floating_point():
            return tuple(inputs.shape[1:])
        return Inputs((inputs,)).map(lambda tensor: tensor[:1])


def validation_metrics(task: Task, *, measured: bool = True) -> list[str]:
    """Return the names of what is measured on validation data, the loss last.

    Args:
        task: The task.
        measured: Whether to leave out what is measured only where it is asked for.
    """
    names = [metric.name for metric in task.metrics]
    if measured:
        names = [name for name in names if name not in task.costly_metrics]
    return [*(f"val_{name}" for name in names), "val_loss"]


def measure(
    task: Task, network: Callable[[Any], Any], batches: Sequence[Any], wanted: Sequence[str] = ()
) -> dict[str, float]:
    """Return the metrics of :func:`validation_metrics` and those that are wanted.

    Args:
        task: The task.
        network: Maps inputs to outputs.
        batches: Batches of inputs and targets, at least one.
        wanted: See :meth:`~lightning_modules.tasks.Task.metrics_for`.
    """
    metrics = task.metrics_for(wanted)
    losses, sizes = [], []
    with torch.inference_mode():
        for inputs, targets in batches:
            output = network(inputs)
            losses.append(task.loss(output, targets))
            sizes.append(extract_batch_size(targets))
            for metric in metrics.values():
                metric.to(losses[-1].device).update(output, targets)
        values = {f"val_{name}": float(metric.compute()) for name, metric in metrics.items()}
    parts = zip(torch.stack(losses).tolist(), sizes, strict=True)
    return values | {"val_loss": math.fsum(loss * n for loss, n in parts) / sum(sizes)}


def recalibrate(network: nn.Module, batches: list[Any]) -> None:
    """Measure the statistics of all batch normalisation anew, as the mean over batches.

    Args:
        network: The network.
        batches: Inputs, alone or before their targets.
    """
    update_bn(batches, network)


def path_output(supernet: Supernet, inputs: Any, gates: Gates) -> Any:
    """Return the output of a path, normalised by the statistics of the batch.

    Those of the supernet are a mixture of all paths.
    """
    with batch_statistics(supernet):
        return supernet(inputs, gates)


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


def in_channels_last(network: nn.Module) -> nn.Module:
    """Return a network of images in the order that is fastest; others as they are."""
    if any(parameter.ndim > 4 for parameter in network.parameters()):
        return network
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
