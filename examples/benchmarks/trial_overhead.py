"""What a trial costs beside its training, and training here against a bare PyTorch loop.

    python examples/benchmarks/trial_overhead.py
    python examples/benchmarks/trial_overhead.py --quick

Overhead of a trial: everything but Lightning's loop over epochs and batches, in a search that is
tracked in MLflow, with study and runs in sqlite files. A section that runs inside another, e.g.
tracking inside the training loop, counts for itself alone. Target: below 0.5 s.

Ratio: the time of one Fashion-MNIST epoch through ``TrainingEvaluator``, building and Trainer
included, over the time of a plain loop with the same network, batches, optimizer, schedule, memory
format and validation, which gives the same accuracy. Target: at most 1.10.

Everything runs in one CPU thread. Wall-clock times suffer from whatever else runs on the machine,
so CPU times stand beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import ExitStack
import functools
import os
from pathlib import Path
import tempfile
import time
from typing import Any
from unittest.mock import patch

from jsonargparse import ArgumentParser
import numpy as np
import optuna
from optuna.storages import RDBStorage
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from lightning_modules import as_kit
from lightning_modules import Classification
from lightning_modules import TrainingEvaluator
from lightning_modules.costs import meter as costs_module
from lightning_modules.data import DigitsDataModule
from lightning_modules.data import ImageDataModule
from lightning_modules.data import make_datamodule
from lightning_modules.training import learning_rate_factor
from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas.samplers import GeneticSampler
from optuna_nas.tracking import MLflowTracker


OBJECTIVES = {"val_accuracy": "maximize", "latency_ms": "minimize", "params": "minimize"}
LOOP = "training loop"
NETWORKS: dict[str, tuple[Architecture, dict[str, int]]] = {
    "cell": (
        CellSpace().from_string(
            "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
        ),
        {"channels": 8, "cells_per_stage": 1},
    ),
    "small chain": (ChainSpace().from_string("C8k3-Smax2-C16k3-Smax2-O32"), {}),
}
"""Architectures and sizes of their networks, for the ratio."""
TASK = Classification(10)


class Stopwatch:
    """Adds up wall-clock and CPU seconds by section; an inner section interrupts the outer one."""

    def __init__(self) -> None:
        self.wall: Counter[str] = Counter()
        self.cpu: Counter[str] = Counter()
        self._open = ["everything else"]
        self._since = _clocks()

    def reset(self) -> None:
        """Start again at zero."""
        self._switch()
        self.wall.clear()
        self.cpu.clear()

    def enter(self, section: str) -> None:
        """Begin a section."""
        self._switch()
        self._open.append(section)

    def leave(self) -> None:
        """End the section that began last."""
        self._switch()
        self._open.pop()

    def _switch(self) -> None:
        now = _clocks()
        self.wall[self._open[-1]] += now[0] - self._since[0]
        self.cpu[self._open[-1]] += now[1] - self._since[1]
        self._since = now

    def timed(self, section: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` as a section."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.enter(section)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return call


class LoopClock(pl.Callback):
    """Times the training loop."""

    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin."""
        self._watch.enter(LOOP)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End."""
        self._watch.leave()


@contextmanager
def watched(watch: Stopwatch) -> Iterator[None]:
    """Time the parts of a trial."""
    make_trainer = pl.Trainer.__init__

    def init(self: pl.Trainer, *args: Any, callbacks: Sequence[Any], **kwargs: Any) -> None:
        make_trainer(self, *args, callbacks=[*callbacks, LoopClock(watch)], **kwargs)

    storage_methods = [name for name, f in vars(RDBStorage).items() if callable(f)]
    parts = [
        ("cost metrics", costs_module, ["count_params", "measure_latency_ms"]),
        ("fit: set-up, tear-down", pl.Trainer, ["fit"]),
        ("tracking", MLflowTracker, ["on_trial_start", "on_epoch_end", "__call__"]),
        ("study storage", RDBStorage, [n for n in storage_methods if not n.startswith("_")]),
        ("sampler", GeneticSampler, ["infer_relative_search_space", "sample_relative"]),
    ]
    with ExitStack() as stack:
        stack.enter_context(
            patch.object(pl.Trainer, "__init__", watch.timed("Trainer: construction", init))
        )
        for section, owner, names in parts:
            for name in names:
                function = watch.timed(section, getattr(owner, name))
                stack.enter_context(patch.object(owner, name, function))
        yield


def measure_overhead(n_trials: int, n_warm_up: int, folder: Path) -> tuple[Stopwatch, float]:
    """Return the seconds of ``n_trials`` by section, and those of the very first trial."""
    space, data, watch = CellSpace(), DigitsDataModule(), Stopwatch()
    build = as_kit(space).builder(input_shape=data.input_shape, channels=8, cells_per_stage=1)
    evaluate = TrainingEvaluator(
        watch.timed("building the network", build), data, metrics=list(OBJECTIVES), max_epochs=3
    )
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'optuna.db'}",
        directions=list(OBJECTIVES.values()),
        sampler=GeneticSampler(space=space, seed=0),
    )
    tracker = MLflowTracker(
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", objectives=list(OBJECTIVES), space=space
    )
    with watched(watch), tracker:
        tracker.start(study)
        objective = ArchitectureObjective(
            space, evaluate, objectives=list(OBJECTIVES), observers=[tracker]
        )
        watch.reset()
        study.optimize(objective, n_trials=1, callbacks=[tracker])
        watch.enter("between")
        first = sum(watch.wall.values()) - watch.wall[LOOP]
        study.optimize(objective, n_trials=n_warm_up, callbacks=[tracker])
        watch.leave()
        watch.reset()
        study.optimize(objective, n_trials=n_trials, callbacks=[tracker])
        watch.enter("after")
    return watch, first


def report_overhead(n_trials: int, n_warm_up: int) -> None:
    """Measure the overhead and print it by section."""
    with tempfile.TemporaryDirectory() as folder:
        watch, first = measure_overhead(n_trials, n_warm_up, Path(folder))
    sections = [name for name, _ in watch.wall.most_common() if name not in (LOOP, "after")]
    print(f"One trial, mean of {n_trials} after {n_warm_up + 1} others    wall      CPU")
    for section in [LOOP, *sections]:
        wall, cpu = watch.wall[section] / n_trials, watch.cpu[section] / n_trials
        print(f"  {section:36}  {wall:7.4f} s {cpu:7.4f} s")
    wall, cpu = (
        sum(seconds[section] for section in sections) / n_trials
        for seconds in (watch.wall, watch.cpu)
    )
    print(f"  {'overhead: all but the training loop':36}  {wall:7.4f} s {cpu:7.4f} s")
    print(f"Overhead {wall:.3f} s (CPU {cpu:.3f} s); the target is below 0.5 s.")
    print(f"The first trial of the process, which imports and warms up: {first:.3f} s.\n")


def train_bare(
    build: Callable[[Architecture], nn.Module], architecture: Architecture, data: ImageDataModule
) -> float:
    """Train for one epoch in a plain loop and return the validation accuracy."""
    torch.manual_seed(0)
    network = TASK.network(build(architecture)).to(memory_format=torch.channels_last)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=5e-4, fused=True)
    batches = data.train_dataloader()
    n = len(batches)
    schedule = LambdaLR(optimizer, lambda step: learning_rate_factor("one_cycle", step / n))
    train_loss = torch.zeros(())
    for images, labels in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        train_loss += loss.detach() * len(labels)
    n_right, n_images, val_loss = 0, 0, 0.0
    network.eval()
    with torch.inference_mode():
        for images, labels in data.val_dataloader():
            logits = network(images)
            val_loss += F.cross_entropy(logits, labels).item() * len(labels)
            n_right += int((logits.argmax(1) == labels).sum())
            n_images += len(labels)
    return n_right / n_images


def report_ratio(name: str, data: ImageDataModule, repetitions: int) -> None:
    """Measure both loops in turns and print the times and their ratio."""
    architecture, sizes = NETWORKS[name]
    build = as_kit(architecture.space).builder(input_shape=data.input_shape, **sizes)
    evaluate = TrainingEvaluator(build, data, max_epochs=1)
    times = []
    for _ in range(repetitions):
        clocks = [_clocks()]
        accuracy = evaluate(architecture).metrics["val_accuracy"]
        clocks.append(_clocks())
        expected = train_bare(build, architecture, data)
        clocks.append(_clocks())
        times.append(np.diff(clocks, axis=0))
        if abs(accuracy - expected) > 1e-6:
            raise RuntimeError(f"Not the same training: {accuracy=}, {expected=}.")
    ours, bare = np.median(times, axis=0)
    ratios = np.array([pair[0] / pair[1] for pair in times])
    ratio, cpu_ratio = np.median(ratios, axis=0)
    print(f"One epoch of a {name}, accuracy {accuracy:.4f} both ways, {repetitions} repetitions")
    for what, i in (("wall", 0), ("CPU", 1)):
        print(
            f"  {what:5} evaluator {ours[i]:.2f} s, bare loop {bare[i]:.2f} s (medians); ratios "
            + " ".join(f"{r:.3f}" for r in ratios[:, i])
        )
    print(f"Ratio {ratio:.3f} (CPU {cpu_ratio:.3f}); the target is at most 1.10.\n")


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--data", type=str, default="fashion-mnist", help="data of the ratio")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--quick", action="store_true", help="a small run that proves no target")
    args = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, {os.cpu_count()} cores, load {os.getloadavg()}\n")
    report_overhead(3 if args.quick else args.trials, 2 if args.quick else 5)
    data = make_datamodule(args.data, train_fraction=0.05 if args.quick else 1.0)
    data.setup("fit")
    for name in args.networks:
        report_ratio(name, data, 2 if args.quick else args.repetitions)


if __name__ == "__main__":
    main()
