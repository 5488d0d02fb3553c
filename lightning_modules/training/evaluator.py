"""The evaluator of a search: builds the network of an architecture, measures and trains it."""

from __future__ import annotations

from collections.abc import Sequence
import threading
from typing import Any

import pytorch_lightning as pl
from torch import nn

from lightning_modules._checks import check_at_least
from lightning_modules.backbone import Build
from lightning_modules.costs.memory import device_memory_mb
from lightning_modules.costs.meter import ArchitectureCosts
from lightning_modules.costs.meter import cost_names
from lightning_modules.costs.meter import CostMeter
from lightning_modules.data._draw import draw_batches
from lightning_modules.inputs import inputs_of
from lightning_modules.inputs import Sample
from lightning_modules.supernet._supernet import inherit_weights as inherit
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.tasks import make_task
from lightning_modules.tasks import Task
from lightning_modules.tasks import task_class
from lightning_modules.training._fitting import Fitting
from lightning_modules.training.device import select_device
from lightning_modules.training.learner import check_one_of
from lightning_modules.training.learner import Learner
from lightning_modules.training.learner import MakeModule
from lightning_modules.training.random_state import evaluation
from lightning_modules.training.random_state import RANDOM_STATE
from optuna_nas import Architecture
from optuna_nas import Constraint
from optuna_nas import Evaluation
from optuna_nas.evaluation import Report
from optuna_nas.metrics import METRICS


_LOCK = threading.Lock()  # Of the module, as an evaluator should pickle.


class TrainingEvaluator:
    """Trains the network of an architecture for a few epochs; see :class:`~optuna_nas.Evaluator`.

    It can be handed to :class:`~optuna_nas.ArchitectureObjective`. After each epoch it reports all
    that the module logged, so that a pruner can stop the trial. If only cost metrics are asked
    for, nothing is trained.

    The same architecture, arguments and data give the same result on a CPU, and the global random
    state is left as found. In parallel threads this holds for networks and data that draw no
    random numbers from the global generator during training, such as those of this package.

    Example:

        A module of one's own, any of whose logged values can be a metric::

            TrainingEvaluator(build, datamodule, module=MyModule, metrics=["val_f1", "params"])

    Args:
        build: Makes the backbone of an architecture, to which the task adds a head, or a whole
            network, e.g. ``functools.partial(build_cell_backbone, input_shape=(1, 28, 28))``.
        datamodule: Training and validation data. Each trial works on a shallow copy. The test
            split is never read.
        task: What networks are trained for: a task, or a class or name to be made for the data;
            see :func:`~lightning_modules.tasks.make_task`.
        module: In the place of a task: a class of Lightning modules, or a function, that takes
            what ``build`` makes.
        metrics: Names of the values to return: cost metrics, see
            :func:`~lightning_modules.costs.cost_names`, and what the module logs; by default the
            first metric of the task.
        max_epochs: Largest number of epochs.
        max_steps: Largest number of optimizer steps, -1 for no limit; validation follows the last.
        early_stopping_patience: Stop after so many epochs without a better ``monitor``. Trained
            metrics are then those of the epoch with the best one; without early stopping
            (:obj:`None`), those of the last epoch.
        monitor: What early stopping looks at, ``NAME`` or ``NAME:maximize``; by default the first
            trained metric of ``metrics``.
        learning_rate: See :class:`~lightning_modules.TaskModule`, as for the next three. A module
            of one's own has its own.
        weight_decay: Weight decay.
        optimizer: ``"adamw"`` or ``"sgd"``.
        schedule: ``"one_cycle"``, ``"cosine"`` or ``"constant"``, over the whole training.
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
        ValueError: If an argument is unknown or out of its range, or there are a task and a
            module.
    """

    def __init__(
        self,
        build: Build,
        datamodule: pl.LightningDataModule,
        *,
        task: str | type[Task] | Task | None = None,
        module: MakeModule | None = None,
        metrics: Sequence[str] | None = None,
        max_epochs: int = 1,
        max_steps: int = -1,
        early_stopping_patience: int | None = None,
        monitor: str | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        optimizer: str | None = None,
        schedule: str | None = None,
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
        check_one_of(task, module)
        self._task = task
        kind = None if module is not None else task_class(task, datamodule)
        if metrics is None and kind is not None:
            metrics = [kind.primary()]
        self.metrics = _checked_metrics(metrics, kind, datamodule)
        self._trained = [name for name in self.metrics if name not in cost_names()]
        self.learner = Learner(
            build,
            module,
            task if isinstance(task, Task) else None,
            metrics=[*self._trained, *([] if monitor is None else [monitor.partition(":")[0]])],
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
        )
        stops = early_stopping_patience is not None or monitor is not None
        watched = monitor or next(iter(self._trained), None)
        self._fitting = Fitting(
            wanted=self._trained,
            max_epochs=max_epochs,
            max_steps=max_steps,
            patience=early_stopping_patience,
            monitor=METRICS.parse(watched, "monitor") if stops and watched else None,
            arguments={
                "accelerator": accelerator,
                "devices": devices,
                "strategy": strategy,
                "precision": precision,
            },
        )
        for name, value, least in [
            ("seed", seed, 0),
            ("latency_batch_size", latency_batch_size, 1),
            ("throughput_batch_size", throughput_batch_size, 1),
            ("latency_threads", latency_threads, 1),
        ]:
            check_at_least(name, value, least)
        self.datamodule = datamodule
        self.inherit_weights = inherit_weights
        self.seed = seed
        self.device = select_device(accelerator, devices)
        meter = CostMeter(
            self.device,
            batch_size=latency_batch_size,
            throughput_batch_size=throughput_batch_size,
            training_batch_size=getattr(datamodule, "batch_size", None) or 1,
            threads=latency_threads,
        )
        meter.check(self.metrics)
        self.costs = ArchitectureCosts(self.learner, meter, seed)
        """Cost metrics of architectures, which another evaluator may share."""
        self._sample: Sample | None = None
        self._is_set_up = False

    def __call__(self, architecture: Architecture, *, report: Report | None = None) -> Evaluation:
        """Measure ``architecture``.

        Args:
            architecture: What ``build`` can build.
            report: Called with the epoch, counted from 0, and all that the module logged. What it
                raises, e.g. ``optuna.TrialPruned``, ends the training and comes out unchanged.

        Returns:
            The metrics that were asked for, in their order.

        Raises:
            RuntimeError: If the training diverged, that is, the loss is not finite.
            ValueError: If the supernet is of another space or has other sizes, or a metric was
                not logged.
        """
        with evaluation(self.device):
            measured = self._measure(architecture, report)
        return Evaluation({name: measured[name] for name in self.metrics})

    def cost(self, metric: str, architecture: Architecture) -> float:
        """Return a cost metric of an architecture, without training it.

        With :func:`functools.partial` it is the function of a :class:`~optuna_nas.Constraint`;
        a later evaluation of the architecture has the same value.

        Args:
            metric: A cost metric; see :func:`~lightning_modules.costs.cost_names`. Of counted ones
                nothing is allocated.
            architecture: What ``build`` can build.

        Raises:
            ValueError: If the metric is unknown or cannot be measured on the device.

        Example:

            ``Constraint("params", upper=1e5, function=partial(evaluator.cost, "params"))``
        """
        if metric not in cost_names():
            raise ValueError(
                f"Expected argument `metric` to be one of {cost_names()} but got {metric!r}."
            )
        return self.costs.value(metric, architecture, self._one_sample(architecture))

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
        self._set_up()
        network = RANDOM_STATE.build(self.learner, architecture, self.seed, self.device)
        if self.inherit_weights is not None:
            _check_supernet(self.inherit_weights, architecture)
            inherit(network, self.inherit_weights, architecture)
        known = self.costs.take(architecture)
        wanted = [n for n in self.metrics if n not in self._trained and n not in known]
        measured = dict(known)
        if wanted:
            sample = self._one_sample(architecture, network)
            measured |= self.costs.meter.measure(wanted, network, sample)
        if self._trained:
            module = self.learner.lightning(network, architecture)
            measured |= self._fitting.run(module, self.datamodule, report)
        return measured

    def _set_up(self) -> None:
        """Set the data up, and make the task for it."""
        with _LOCK:
            if not self._is_set_up:
                self.datamodule.prepare_data()
                self.datamodule.setup("fit")
                if self.learner.module is None:
                    self.learner.task = make_task(self._task, self.datamodule)
                self._is_set_up = True

    def _one_sample(self, architecture: Architecture, network: nn.Module | None = None) -> Sample:
        """Return the shape of a sample if the data has it, else the inputs of a real one."""
        self._set_up()
        with _LOCK:
            if self._sample is None:
                shape = getattr(self.datamodule, "input_shape", None)
                if shape is not None:
                    self._sample = tuple(map(int, shape))
                else:
                    if network is None:
                        with RANDOM_STATE.kept(self.device):
                            network = RANDOM_STATE.build(
                                self.learner, architecture, self.seed, self.device
                            )
                    batch = draw_batches(self.datamodule, "train", 1, seed=self.seed)[0]
                    self._sample = inputs_of(network, batch).map(lambda tensor: tensor[:1])
            return self._sample


def _checked_metrics(
    metrics: Sequence[str] | None, task: type[Task] | None, datamodule: pl.LightningDataModule
) -> tuple[str, ...]:
    """Return the metrics, or raise a ValueError if one cannot be had."""
    known = [*(task.trained_metrics() if task is not None else ()), *cost_names()]
    named = not isinstance(metrics, str) and metrics and all(isinstance(n, str) for n in metrics)
    if metrics is None or not named or (task is not None and not set(metrics) <= set(known)):
        more = "" if task is not None else " and of values that the module logs"
        raise ValueError(
            f"Expected argument `metrics` to be names of {known}{more} but got {metrics!r}."
        )
    trained = sorted(set(metrics) - set(cost_names()))
    if trained and getattr(datamodule, "train_on_validation", False):
        raise ValueError(
            "Expected argument `datamodule` to have a validation split, as the metrics "
            f"{trained} need it, but got one with `train_on_validation`."
        )
    return tuple(metrics)


def _check_supernet(supernet: Supernet, architecture: Architecture) -> None:
    """Raise a ValueError if a supernet is not of the space of an architecture."""
    if supernet.space.name != architecture.space:
        raise ValueError(
            "Expected argument `inherit_weights` to be a supernet of search space "
            f"`{architecture.space}` but got one of `{supernet.space.name}`."
        )
