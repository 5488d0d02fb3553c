"""What a path of a trained supernet is worth, and the search for the best one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader
from torchmetrics.functional.classification import multiclass_accuracy

from lightning_modules.supernet._supernet import Supernet
from optuna_nas import Architecture
from optuna_nas import Evaluation
from optuna_nas.evaluation import Report


class SupernetEvaluator:
    """Scores an architecture with inherited weights; see :class:`~optuna_nas.Evaluator`.

    Before, the statistics of its normalisation are measured anew on training images, as those of
    the supernet are a mixture of all paths (Guo et al., ECCV 2020, section 3.4; Yu & Huang, ICCV
    2019, section 3.3). Nothing is trained. The supernet is not changed.

    Args:
        supernet: The trained supernet.
        train_batches: Batches of images, alone or with labels, for the statistics; kept in memory.
        val_batches: Batches of images and labels on which the accuracy is measured; likewise.

    Raises:
        ValueError: If there are no batches.
    """

    def __init__(
        self, supernet: Supernet, train_batches: list[Any], val_batches: list[Any]
    ) -> None:
        for name, batches in [("train_batches", train_batches), ("val_batches", val_batches)]:
            if not batches:
                raise ValueError(f"Expected argument `{name}` to have batches but got none.")
        self.supernet = supernet
        self.train_batches = train_batches
        self.val_batches = val_batches

    @classmethod
    def from_data(
        cls,
        supernet: Supernet,
        datamodule: Any,
        *,
        train_images: int = 500,
        val_images: int = 2000,
    ) -> SupernetEvaluator:
        """Take the batches from a data module.

        Args:
            supernet: The trained supernet.
            datamodule: A data module with a training and a validation loader, set up.
            train_images: Least number of images for the statistics, if there are as many.
            val_images: Least number of images for the accuracy, if there are as many.
        """
        device = next(supernet.parameters()).device
        return cls(
            supernet,
            _first(datamodule.train_dataloader(), train_images, device),
            _first(datamodule.val_dataloader(), val_images, device),
        )

    def __call__(self, architecture: Architecture, *, report: Report | None = None) -> Evaluation:
        """Return ``val_accuracy`` in [0, 1] and ``val_loss`` of an architecture.

        Args:
            architecture: A member of the supernet's space.
            report: Never called, as there are no epochs.
        """
        network = self.supernet.network_of(architecture)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        recalibrate(network, self.train_batches)
        network.eval()
        with torch.inference_mode():
            logits = torch.cat([network(images) for images, _ in self.val_batches]).float()
        labels = torch.cat([labels for _, labels in self.val_batches])
        accuracy = multiclass_accuracy(
            logits, labels, self.supernet.num_classes, average="micro", validate_args=False
        )
        return Evaluation(
            {
                "val_accuracy": float(accuracy),
                "val_loss": float(nn.functional.cross_entropy(logits, labels)),
            }
        )


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
