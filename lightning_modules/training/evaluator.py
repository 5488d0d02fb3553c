"""The evaluator of a search: builds the network of an architecture, measures and trains it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import copy
import threading
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn

from lightning_modules.costs.memory import device_memory_mb
from lightning_modules.costs.meter import ArchitectureCosts
from lightning_modules.costs.meter import COST_METRICS
from lightning_modules.costs.meter import CostMeter
from lightning_modules.supernet._supernet import inherit_weights
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.tasks.classification import check_training_arguments
from lightning_modules.tasks.classification import ImageClassifier
from lightning_modules.training import trainer as _training
from lightning_modules.training._checks import check_limits
from lightning_modules.training._checks import check_metrics
from lightning_modules.training._checks import check_supernet
from lightning_modules.training._follower import EpochFollower
from lightning_modules.training._follower import TRAINED_METRICS
from optuna_nas import Architecture
from optuna_nas import Constraint
from optuna_nas import Evaluation
from optuna_nas.evaluation import Report


_LOCK = threading.Lock()  # Of the module, as an evaluator should pickle.


class TrainingEvaluator:
    """Trains the network of an architecture for a few epochs; see :class:`~optuna_nas.Evaluator`.

    It can be handed to :class:`~optuna_nas.ArchitectureObjective`. After each epoch it reports
    ``val_accuracy``, ``val_loss`` and ``train_loss``, so that a pruner can stop the trial. If only
    cost metrics are asked for, nothing is trained.

    The same architecture, arguments and data give the same result on a CPU, and the global random
    state is left as found. In parallel threads this holds for networks and data that draw no
    random numbers from the global generator during training, such as those of this package.

    Args:
        build: Makes the network of an architecture, e.g.
            ``functools.partial(build_cell_network, input_shape=(1, 28, 28), num_classes=10)``.
        datamodule: Training and validation data, with the attributes ``input_shape`` (channels,
            height, width) and ``num_classes``. Each trial works on a shallow copy. The test split
            is never read.
        metrics: Names of the values to return, of :data:`TRAINED_METRICS` and
            :data:`COST_METRICS`.
        max_epochs: Largest number of epochs.
        max_steps: Largest number of optimizer steps, -1 for no limit; validation follows the last.
        early_stopping_patience: Stop after so many epochs without a better ``val_accuracy``.
            Trained metrics are then those of the epoch with the best ``val_accuracy``; without
            early stopping (:obj:`None`), those of the last epoch.
        learning_rate: See :class:`~lightning_modules.ImageClassifier`, as for the next four.
        weight_decay: Weight decay.
        optimizer: ``"adamw"`` or ``"sgd"``.
        schedule: ``"one_cycle"``, ``"cosine"`` or ``"constant"``, over the whole training.
        label_smoothing: In [0, 1).
        accelerator: As ``devices``, ``strategy`` and ``precision``, an argument of
            :class:`pytorch_lightning.Trainer`. Latency and throughput are measured on the first
            device. A strategy that starts processes of its own (``"ddp_spawn"``) cannot report, so
            it cannot prune, and returns the last epoch's metrics.
        devices: Number or list of devices for one trial.
        strategy: How several devices share the work.
        precision: Floating point precision of the training.
        seed: Seed of the initial weights, at least 0; the data module has its own.
        latency_batch_size: Batch size of ``latency_ms``.
        throughput_batch_size: Batch size of ``throughput``.
        latency_threads: CPU threads of ``latency_ms`` and ``throughput``. More than one make the
            measurement depend on what else the machine does.
        inherit_weights: A trained supernet of the same space and sizes, from whose weights each
            trial's network starts instead of random ones.

    Raises:
        ValueError: If an argument is unknown or out of its range.
    """

    def __init__(
        self,
        build: Callable[[Architecture], nn.Module],
        datamodule: pl.LightningDataModule,
        *,
        metrics: Sequence[str] = ("val_accuracy",),
        max_epochs: int = 1,
        max_steps: int = -1,
        early_stopping_patience: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float = 5e-4,
        optimizer: str = "adamw",
        schedule: str = "one_cycle",
        label_smoothing: float = 0.0,
        accelerator: str = "auto",
        devices: int | str | list[int] = 1,
        strategy: Any = "auto",
        precision: Any = "32-true",
        seed: int = 0,
        latency_batch_size: int = 1,
        throughput_batch_size: int = 64,
        latency_threads: int = 1,
        inherit_weights: Supernet | None = None,
    ) -> None:
        check_metrics(metrics, datamodule)
        check_limits(max_epochs, max_steps, early_stopping_patience)
        for name, value, least in [
            ("seed", seed, 0),
            ("latency_batch_size", latency_batch_size, 1),
            ("throughput_batch_size", throughput_batch_size, 1),
            ("latency_threads", latency_threads, 1),
        ]:
            if value < least:
                raise ValueError(
                    f"Expected argument `{name}` to be at least {least} but got {value}."
                )
        self._task_arguments: dict[str, Any] = {
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "optimizer": optimizer,
            "schedule": schedule,
            "label_smoothing": label_smoothing,
        }
        check_training_arguments(**self._task_arguments)
        self._trainer_arguments: dict[str, Any] = {
            "accelerator": accelerator,
            "devices": devices,
            "strategy": strategy,
            "precision": precision,
            "max_epochs": max_epochs,
            "max_steps": max_steps,
        }
        self.datamodule = datamodule
        self.inherit_weights = inherit_weights
        self.metrics = tuple(metrics)
        self.seed = seed
        self.device = _training.select_device(accelerator, devices)
        self._patience = early_stopping_patience
        meter = CostMeter(
            self.device,
            batch_size=latency_batch_size,
            throughput_batch_size=throughput_batch_size,
            training_batch_size=getattr(datamodule, "batch_size", 1),
            threads=latency_threads,
        )
        meter.check(metrics)
        self.costs = ArchitectureCosts(build, meter, seed)
        """Cost metrics of architectures, which another evaluator may share."""
        self._data: tuple[tuple[int, int, int], int] | None = None

    def __call__(self, architecture: Architecture, *, report: Report | None = None) -> Evaluation:
        """Measure ``architecture``.

        Args:
            architecture: What ``build`` can build.
            report: Called with the epoch, counted from 0, and ``val_accuracy``, ``val_loss`` and
                ``train_loss``. What it raises, e.g. ``optuna.TrialPruned``, ends the training and
                comes out unchanged.

        Returns:
            The metrics that were asked for, in their order.

        Raises:
            RuntimeError: If the training diverged, that is, the loss is not finite.
            ValueError: If the supernet is of another space or has other sizes.
        """
        with _training.evaluation(self.device):
            measured = self._measure(architecture, report)
        return Evaluation({name: measured[name] for name in self.metrics})

    def cost(self, metric: str, architecture: Architecture) -> float:
        """Return a cost metric of an architecture, without training it.

        With :func:`functools.partial` it is the function of a :class:`~optuna_nas.Constraint`;
        a later evaluation of the architecture has the same value.

        Args:
            metric: A name of :data:`COST_METRICS`. Of ``params``, ``macs`` and
                ``training_memory_mb`` nothing is allocated.
            architecture: What ``build`` can build.

        Raises:
            ValueError: If the metric is unknown or cannot be measured on the device.

        Example:

            ``Constraint("params", upper=1e5, function=partial(evaluator.cost, "params"))``
        """
        if metric not in COST_METRICS:
            raise ValueError(
                f"Expected argument `metric` to be one of {list(COST_METRICS)} but got {metric!r}."
            )
        input_shape, _ = self._prepared_data()
        return self.costs.value(metric, architecture, input_shape)

    def memory_constraint(self) -> Constraint:
        """Return the constraint that training fits into the memory of the device.

        The memory is estimated on the meta device, so that what cannot fit is not even built; see
        :func:`~lightning_modules.estimate_training_memory_mb`. A network that cannot run there
        counts as fitting: its training shows whether it does.
        """
        return Constraint(
            "training_memory_mb",
            upper=device_memory_mb(self.device),
            function=self._training_memory_mb,
        )

    def _training_memory_mb(self, architecture: Architecture) -> float:
        try:
            return self.cost("training_memory_mb", architecture)
        except Exception:  # Of any network that cannot run there; see the docstring above.
            return 0.0

    def _measure(self, architecture: Architecture, report: Report | None) -> dict[str, float]:
        input_shape, num_classes = self._prepared_data()
        network = _training.RANDOM_STATE.build(
            self.costs.build, architecture, self.seed, self.device
        )
        if self.inherit_weights is not None:
            check_supernet(self.inherit_weights, architecture)
            inherit_weights(network, self.inherit_weights, architecture)
        known = self.costs.take(architecture)
        wanted = [name for name in COST_METRICS if name in self.metrics and name not in known]
        measured = known | self.costs.meter.measure(wanted, network, input_shape)
        if set(self.metrics) & set(TRAINED_METRICS):
            measured |= self._train(network, num_classes, report)
        return measured

    def _prepared_data(self) -> tuple[tuple[int, int, int], int]:
        with _LOCK:
            if self._data is None:
                self.datamodule.prepare_data()
                self.datamodule.setup("fit")
                self._data = _training.data_description(self.datamodule)
            return self._data

    def _train(
        self, network: nn.Module, num_classes: int, report: Report | None
    ) -> Mapping[str, float]:
        classifier = ImageClassifier(network, num_classes=num_classes, **self._task_arguments)
        follower = EpochFollower(report, self._trainer_arguments["max_steps"])
        callbacks: list[pl.Callback] = [_training.DivergenceGuard(), follower]
        if self._patience is not None:
            callbacks.append(EarlyStopping("val_accuracy", mode="max", patience=self._patience))
        with _training.quiet():
            trainer = _training.make_trainer(callbacks=callbacks, **self._trainer_arguments)
            try:
                _training.run_trainer(
                    trainer.fit, classifier, datamodule=copy.copy(self.datamodule)
                )
                last = _training.scalar_metrics(trainer)
            finally:
                _training.release(trainer, classifier)
        if self._patience is not None and follower.epochs:
            return max(follower.epochs, key=lambda metrics: metrics["val_accuracy"])
        return last
