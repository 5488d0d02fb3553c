"""The Lightning module that trains a supernet: weight steps and architecture steps in turn."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
import math
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.data import extract_batch_size
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric

from lightning_modules.supernet._evaluate import in_channels_last
from lightning_modules.supernet._evaluate import path_output
from lightning_modules.supernet._optimizers import clip_gradients
from lightning_modules.supernet._optimizers import GRADIENT_CLIP
from lightning_modules.supernet._optimizers import make_optimizers
from lightning_modules.supernet._optimizers import supernet_rate_factor
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations import Relaxation
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from optuna_nas import Architecture


class SupernetModule(pl.LightningModule):
    """Trains a supernet by a relaxation, with manual optimisation.

    Each training batch is ``{"weights": (inputs, targets), "architecture": (inputs, targets)}``,
    as :class:`SupernetDataModule` makes it: first an architecture step on the one, then a weight
    step on the other (Liu et al., ICLR 2019, algorithm 1). A relaxation that learns no logits
    needs no ``"architecture"``.

    It logs, each epoch, ``supernet_loss`` and ``architecture_loss`` (means), the task's first
    metric of the path that the relaxation stands for, e.g. ``supernet_val_r2``, or its loss
    where there is none, and ``architecture_entropy``, the mean over the gates in nats. A
    checkpoint of the trainer holds all of the state, and a training resumed from it, at the end of
    an epoch, goes on as if it had never stopped.

    On several devices a trainer needs ``strategy="ddp_find_unused_parameters_true"``, as a step
    does not use all choices.

    Args:
        supernet: The supernet.
        relaxation: How it is trained.
        learning_rate: Largest learning rate of the weights: SGD with Nesterov momentum 0.9.
        weight_decay: That of the weights.
        architecture_learning_rate: Learning rate of the architecture parameters: Adam with the
            betas (0.5, 0.999) (Liu et al., ICLR 2019, section A.1).
        architecture_weight_decay: That of the architecture parameters, but for the controller's
            of ENAS.
        schedule: Of :data:`SUPERNET_SCHEDULES`; see :func:`supernet_rate_factor`.
        gradient_clip: Largest norm of the weights' gradients, 0 for no limit.
        architecture_start: The part of the training before which there are no architecture steps,
            in [0, 1).

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        supernet: Supernet,
        relaxation: Relaxation,
        *,
        learning_rate: float = 0.05,
        weight_decay: float = 5e-4,
        architecture_learning_rate: float = 3e-3,
        architecture_weight_decay: float = 1e-3,
        schedule: str = "cosine",
        gradient_clip: float = GRADIENT_CLIP,
        architecture_start: float = 0.0,
    ) -> None:
        super().__init__()
        if not gradient_clip >= 0:
            raise ValueError(
                f"Expected argument `gradient_clip` to be at least 0 but got {gradient_clip}."
            )
        if not 0 <= architecture_start < 1:
            raise ValueError(
                "Expected argument `architecture_start` to be in [0, 1) "
                f"but got {architecture_start}."
            )
        supernet_rate_factor(schedule, 0)
        self.automatic_optimization = False
        self.supernet = supernet
        in_channels_last(supernet)
        self.relaxation = relaxation
        self._make_optimizers = partial(
            make_optimizers,
            self.supernet,
            relaxation,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            architecture_learning_rate=architecture_learning_rate,
            architecture_weight_decay=architecture_weight_decay,
        )
        self._make_optimizers()  # A wrong number is better told now than by the trainer.
        self.schedule = schedule
        self.gradient_clip = gradient_clip
        self.architecture_start = architecture_start
        self._total_steps = 1
        self.n_steps: Tensor
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))
        task = supernet.task
        self.val_metric = (
            task.make_metrics()[task.metrics[0].name] if task.metrics else MeanMetric()
        )

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        """Make an architecture step, if the relaxation learns, and a weight step."""
        weights = Samples(*batch["weights"])
        n = extract_batch_size(weights.targets)
        step = self._step()
        optimizers = self._optimizers()
        if len(optimizers) > 1 and step.progress >= self.architecture_start:
            optimizers[1].zero_grad()
            loss = self.relaxation.architecture_step(
                self.supernet,
                Samples(*batch["architecture"]),
                weights,
                step,
                self.manual_backward,
            )
            optimizers[1].step()
            self._log("architecture_loss", loss, n)
        optimizers[0].zero_grad()
        loss = self.relaxation.weight_step(self.supernet, weights, step, self.manual_backward)
        optimizers[0].step()
        self.n_steps += 1
        scheduler = self.lr_schedulers()
        assert isinstance(scheduler, LambdaLR)
        scheduler.step()
        self._log("supernet_loss", loss, n)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the weights' gradients, which mixed precision has unscaled by now."""
        if optimizer is self.trainer.optimizers[0]:
            clip_gradients(optimizer, self.gradient_clip)

    def on_train_epoch_end(self) -> None:
        """Log the entropy of the architecture parameters."""
        probabilities = self.relaxation.probabilities()
        if probabilities:
            self.log("architecture_entropy", mean_entropy(probabilities), sync_dist=True)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Measure the path that the relaxation stands for now, with the batch's statistics."""
        gates = self.relaxation.validation_gates(self.supernet, self._step())
        inputs, targets = batch
        output, task = path_output(self.supernet, inputs, gates), self.supernet.task
        if task.metrics:
            self.val_metric.update(output, targets)
        else:
            self.val_metric.update(task.loss(output, targets), extract_batch_size(targets))
        self.log(f"supernet_{task.primary()}", self.val_metric, on_step=False, on_epoch=True)

    def configure_optimizers(self) -> Any:
        """Return SGD for the weights and, if there are any, Adam for the architecture."""
        optimizers = self._make_optimizers()
        total = self._total_steps = self._count_steps()
        scheduler = LambdaLR(
            optimizers[0], lambda n: supernet_rate_factor(self.schedule, n / total)
        )
        return optimizers, [scheduler]

    def best_architecture(self) -> Architecture:
        """Return the architecture that the probabilities learned so far stand for.

        Raises:
            ValueError: If the relaxation learns none; see :class:`PathScores`.
        """
        probabilities = self.relaxation.probabilities()
        if not probabilities:
            raise ValueError(
                f"Expected the relaxation to learn probabilities but `{self.relaxation.name}` "
                "trains paths alone, which are to be scored."
            )
        return self.supernet.derive(probabilities)

    def _optimizers(self) -> list[Any]:
        found = self.optimizers()
        return list(found) if isinstance(found, list) else [found]

    def _count_steps(self) -> int:
        total = self.trainer.estimated_stepping_batches
        if math.isinf(total):
            raise ValueError(
                "Expected the trainer to have `max_epochs` and training data of known length."
            )
        return max(1, int(total))

    def _step(self) -> Step:
        n = int(self.n_steps)
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        return Step(n, min(1.0, n / self._total_steps), rate)

    def _log(self, name: str, loss: Tensor, n: int) -> None:
        self.log(
            name, loss, on_step=False, on_epoch=True, batch_size=n, prog_bar=True, sync_dist=True
        )


def mean_entropy(probabilities: Mapping[str, Tensor]) -> Tensor:
    """Return the mean over the gates of the entropy of their choices, in nats."""
    entropies = [torch.special.entr(p.detach()).sum() for p in probabilities.values()]
    return torch.stack(entropies).mean()
