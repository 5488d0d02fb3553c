"""The training evaluator: determinism, reports, interrupts, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
import functools
import gc
from pathlib import Path
import pickle
import signal
import subprocess
import sys
import time
from typing import Any
import weakref

import numpy as np
import optuna
import pytest
import pytorch_lightning as pl
from sklearn.metrics import mean_absolute_error
from sklearn.metrics import mean_squared_error
from sklearn.metrics import r2_score
from sklearn.metrics import root_mean_squared_error
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset

from lightning_modules import build_cell_backbone
from lightning_modules import build_chain_backbone
from lightning_modules import Classification
from lightning_modules import count_macs
from lightning_modules import count_params
from lightning_modules import Regression
from lightning_modules import TrainingEvaluator
from lightning_modules.data import DigitsDataModule
from lightning_modules.data import NpzDataModule
from lightning_modules.data import Split
from lightning_modules.training import _fitting
from lightning_modules.training.learner import Learner
from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import CellSpace
from optuna_nas import ChainSpace


SPACE = ChainSpace()
CHAIN = SPACE.from_string("C8k3-Smax2-O32")
SHAPE: dict[str, Any] = {"input_shape": (1, 8, 8)}
BUILD = functools.partial(build_chain_backbone, **SHAPE)
EPOCHS = ("val_accuracy", "val_loss", "train_loss")


class SearchOnlyDigits(DigitsDataModule):
    """Digits whose test split must not be read."""

    def read_test_data(self) -> Split:
        raise AssertionError("The search read the test split.")


class PlainDataModule(pl.LightningDataModule):
    """An ordinary data module of a user, shuffled by the global generator."""

    input_shape = (1, 4, 4)
    num_classes = 2

    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(40, 1, 4, 4, generator=generator)
        self.labels = (self.images.mean((1, 2, 3)) > 0).long()

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.images, self.labels), batch_size=8, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.images, self.labels), batch_size=40)


@pytest.fixture(scope="module")
def digits() -> SearchOnlyDigits:
    return SearchOnlyDigits(train_fraction=0.3)


def collect(
    evaluator: TrainingEvaluator, architecture: Architecture = CHAIN
) -> tuple[Mapping[str, float], list[Mapping[str, float]]]:
    reports: list[Mapping[str, float]] = []

    def report(epoch: int, metrics: Mapping[str, float]) -> None:
        assert epoch == len(reports)
        reports.append(dict(metrics))

    return evaluator(architecture, report=report).metrics, reports


# Values.


def test_all_metrics_in_the_order_asked_for(digits: SearchOnlyDigits) -> None:
    metrics = ("macs", "val_accuracy", "params", "latency_ms", "throughput", "val_loss")
    evaluator = TrainingEvaluator(BUILD, digits, metrics=metrics, max_epochs=2)
    measured, reports = collect(evaluator)
    network = Classification(10).network(BUILD(CHAIN))
    assert tuple(measured) == metrics
    assert measured["params"] == count_params(network)
    assert measured["macs"] == count_macs(network, (1, 8, 8))
    assert measured["latency_ms"] > 0
    assert measured["throughput"] > 0
    assert len(reports) == 2
    assert all(tuple(report) == EPOCHS for report in reports)
    assert {name: measured[name] for name in ("val_accuracy", "val_loss")} == {
        name: reports[-1][name] for name in ("val_accuracy", "val_loss")
    }


def test_default_settings_learn_digits() -> None:
    evaluator = TrainingEvaluator(BUILD, DigitsDataModule(), max_epochs=4)
    assert evaluator(SPACE.from_string("C-C-S-O")).metrics["val_accuracy"] > 0.9


def test_early_stopping_returns_the_best_epoch(digits: SearchOnlyDigits) -> None:
    evaluator = TrainingEvaluator(
        BUILD,
        digits,
        metrics=EPOCHS,
        max_epochs=20,
        early_stopping_patience=1,
        schedule="constant",
        learning_rate=0.1,
    )
    measured, reports = collect(evaluator)
    accuracies = [report["val_accuracy"] for report in reports]
    assert 1 < len(reports) < 20
    assert accuracies[-1] <= max(accuracies[:-1])
    assert measured == reports[accuracies.index(max(accuracies))]


def test_early_stopping_follows_the_first_trained_metric(digits: SearchOnlyDigits) -> None:
    settings: dict[str, Any] = {"max_epochs": 20, "schedule": "constant", "learning_rate": 0.1}
    for metrics, name, best in [
        (["params", "val_loss", "val_accuracy"], "val_loss", min),
        (["macs", "val_accuracy", "val_loss"], "val_accuracy", max),
    ]:
        measured, reports = collect(
            TrainingEvaluator(
                BUILD, digits, metrics=metrics, early_stopping_patience=1, **settings
            )
        )
        values = [report[name] for report in reports]
        assert measured[name] == best(values)
        assert values[-1] != best(values)
        assert len(reports) < 20


def test_what_early_stopping_cannot_follow(digits: SearchOnlyDigits) -> None:
    evaluator = TrainingEvaluator(BUILD, digits, monitor="val_mae", early_stopping_patience=1)
    with pytest.raises(ValueError, match="`monitor` to be names that the module logs .*'val_mae'"):
        evaluator(CHAIN)


@pytest.mark.parametrize(("max_steps", "n_epochs"), [(1, 1), (4, 1), (6, 2), (100, 3)])
def test_validation_follows_the_last_step(
    digits: SearchOnlyDigits, max_steps: int, n_epochs: int
) -> None:
    evaluator = TrainingEvaluator(BUILD, digits, max_epochs=3, max_steps=max_steps)
    assert len(digits.train_dataloader()) == 4
    measured, reports = collect(evaluator)
    assert len(reports) == n_epochs
    assert measured["val_accuracy"] == reports[-1]["val_accuracy"]


def test_cost_metrics_alone_train_nothing(
    digits: SearchOnlyDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**arguments: Any) -> pl.Trainer:
        raise AssertionError("A trainer was made.")

    monkeypatch.setattr(_fitting, "make_trainer", fail)
    evaluator = TrainingEvaluator(BUILD, digits, metrics=("params", "latency_ms"))
    measured, reports = collect(evaluator)
    assert set(measured) == {"params", "latency_ms"}
    assert reports == []
    with pytest.raises(AssertionError):
        TrainingEvaluator(BUILD, digits, metrics=("params", "val_loss"))(CHAIN)


# Determinism.


@pytest.mark.parametrize("data", [SearchOnlyDigits(train_fraction=0.3), PlainDataModule()])
def test_same_seed_same_result(data: Any) -> None:
    build = functools.partial(build_chain_backbone, input_shape=data.input_shape)

    def measure(**arguments: Any) -> Mapping[str, float]:
        return TrainingEvaluator(build, data, metrics=EPOCHS, **arguments)(CHAIN).metrics

    torch.manual_seed(1)
    first = measure()
    torch.manual_seed(2)
    assert measure() == first
    assert measure(seed=1) != first
    evaluator = TrainingEvaluator(build, data, metrics=(*EPOCHS, "latency_ms", "macs"))
    for _ in range(2):  # Neither earlier trials nor cost metrics change the training.
        evaluator(SPACE.from_string("C-S"))
        measured = evaluator(CHAIN).metrics
        assert {name: measured[name] for name in EPOCHS} == first


def test_pickled_evaluator_gives_the_same_result(digits: SearchOnlyDigits) -> None:
    evaluator = TrainingEvaluator(BUILD, digits, metrics=EPOCHS)
    assert pickle.loads(pickle.dumps(evaluator))(CHAIN).metrics == evaluator(CHAIN).metrics


def test_global_random_state_is_left_as_found(digits: SearchOnlyDigits) -> None:
    state = torch.get_rng_state()
    TrainingEvaluator(BUILD, digits)(CHAIN)
    assert torch.equal(torch.get_rng_state(), state)


# What ends a training.


@pytest.mark.parametrize("error", [optuna.TrialPruned("no"), KeyError("x"), SystemExit(3)])
def test_errors_of_report_come_out_unchanged(
    digits: SearchOnlyDigits, error: BaseException
) -> None:
    def report(epoch: int, metrics: Mapping[str, float]) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        TrainingEvaluator(BUILD, digits, max_epochs=3)(CHAIN, report=report)
    assert raised.value is error


def test_interrupts_stay_interrupts(digits: SearchOnlyDigits) -> None:
    def report(epoch: int, metrics: Mapping[str, float]) -> None:
        signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    for _ in range(2):  # Lightning would ignore the second one.
        with pytest.raises(KeyboardInterrupt):
            TrainingEvaluator(BUILD, digits, max_epochs=3)(CHAIN, report=report)
        assert signal.getsignal(signal.SIGINT) is handler


def test_divergence_is_an_error_with_a_reason(digits: SearchOnlyDigits) -> None:
    reports: list[int] = []
    evaluator = TrainingEvaluator(BUILD, digits, max_epochs=3, optimizer="sgd", learning_rate=1e30)
    with pytest.raises(RuntimeError, match="training diverged: the loss of epoch 0 is nan"):
        evaluator(CHAIN, report=lambda epoch, metrics: reports.append(epoch))
    assert reports == []


def test_out_of_memory_comes_out(digits: SearchOnlyDigits) -> None:
    def report(epoch: int, metrics: Mapping[str, float]) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    evaluator = TrainingEvaluator(BUILD, digits)
    with pytest.raises(torch.OutOfMemoryError):
        evaluator(CHAIN, report=report)
    assert evaluator(CHAIN).metrics["val_accuracy"] > 0  # The next trial works.


def test_pruning_in_a_study(digits: SearchOnlyDigits) -> None:
    objective = ArchitectureObjective(SPACE, TrainingEvaluator(BUILD, digits, max_epochs=3))
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.ThresholdPruner(lower=1.1),
    )
    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED"]
    assert all(list(trial.intermediate_values) == [0] for trial in study.trials)


def test_trials_in_parallel_threads(digits: SearchOnlyDigits) -> None:
    evaluator = TrainingEvaluator(BUILD, digits)
    state = torch.get_rng_state()
    study = optuna.create_study(direction="maximize")
    study.optimize(ArchitectureObjective(SPACE, evaluator), n_trials=8, n_jobs=3)
    assert torch.equal(torch.get_rng_state(), state)
    for trial in study.trials:
        assert trial.value == evaluator(SPACE.architecture(trial.params)).metrics["val_accuracy"]


# What a trial leaves behind.


def test_network_is_freed_without_garbage_collection(digits: SearchOnlyDigits) -> None:
    alive: list[weakref.ref[Any]] = []

    def build(architecture: Architecture) -> nn.Module:
        network = BUILD(architecture)
        alive.extend(weakref.ref(thing) for thing in [network, *network.parameters()])
        return network

    evaluator = TrainingEvaluator(build, digits, metrics=("val_accuracy", "macs", "latency_ms"))
    gc.collect()
    gc.disable()
    try:
        evaluator(CHAIN)
        assert alive
        assert not any(reference() is not None for reference in alive)
    finally:
        gc.enable()


def test_nothing_is_printed_or_written(
    digits: SearchOnlyDigits,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    TrainingEvaluator(BUILD, digits, early_stopping_patience=3, max_epochs=2)(CHAIN)
    assert capfd.readouterr() == ("", "")
    assert [str(warning.message) for warning in recwarn] == []
    assert list(tmp_path.iterdir()) == []


def test_overhead_of_a_trial(digits: SearchOnlyDigits) -> None:
    evaluator = TrainingEvaluator(BUILD, digits, max_steps=1)
    durations: list[float] = []
    for _ in range(6):
        start = time.perf_counter()
        evaluator(CHAIN)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.15


# Regression.

CELL = CellSpace().from_string(
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
)
SMALL_CELL = functools.partial(
    build_cell_backbone, input_shape=(1, 6, 6), channels=4, cells_per_stage=1, stages=2
)


def save_values(path: Path, shape: tuple[int, ...]) -> NpzDataModule:
    """Write images with the brightness of their halves, in units of their own."""
    rng = np.random.default_rng(0)
    brightness = rng.normal(size=(200, 2))
    images = np.repeat(brightness, 3, axis=1)[:, None, :] + 0.1 * rng.normal(size=(200, 6, 6))
    values = brightness * [20.0, 0.01] + [1000.0, -1.0]
    np.savez(path, X=images, y=values[:, 0] if shape == () else values[:, : shape[0]])
    return NpzDataModule(path, batch_size=20, eval_batch_size=17)


def networks_made(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Return the list to which the networks of trials are added."""
    made: list[nn.Module] = []
    make = Learner.__call__

    def remember(self: Learner, architecture: Architecture) -> nn.Module:
        made.append(make(self, architecture))
        return made[-1]

    monkeypatch.setattr(Learner, "__call__", remember)
    return made


@pytest.mark.parametrize("shape", [(), (1,), (2,)])
def test_metrics_of_a_regression_are_right(
    shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = save_values(tmp_path / "values.npz", shape)
    made = networks_made(monkeypatch)
    names = ["val_rmse", "val_mae", "val_r2", "val_loss", "train_loss"]
    found, reports = collect(
        TrainingEvaluator(SMALL_CELL, data, metrics=names, max_epochs=8, accelerator="cpu"), CELL
    )
    assert found == reports[-1]
    images, targets = map(torch.cat, zip(*data.val_dataloader(), strict=True))
    assert len(targets) == 40
    task = Regression.from_data(data)
    with torch.no_grad():
        output = made[-1].eval()(images)
    predicted, targets = task.predict(output), targets.reshape(40, -1)
    assert found["val_rmse"] == pytest.approx(
        root_mean_squared_error(targets, predicted), rel=1e-3
    )
    assert found["val_mae"] == pytest.approx(mean_absolute_error(targets, predicted), rel=1e-3)
    assert found["val_r2"] == pytest.approx(r2_score(targets, predicted), abs=1e-3)
    scaled = (targets - torch.tensor(task.mean)) / torch.tensor(task.std)
    assert found["val_loss"] == pytest.approx(mean_squared_error(scaled, output), rel=1e-3)
    # It has learned more than the mean.
    assert found["val_r2"] > 0.5
    assert found["val_loss"] < 0.5
    assert found["train_loss"] < 0.5


def test_a_search_of_a_regression_follows_the_error(tmp_path: Path) -> None:
    data = save_values(tmp_path / "values.npz", ())
    evaluator = TrainingEvaluator(SMALL_CELL, data, accelerator="cpu")
    assert evaluator.metrics == ("val_rmse",)
    objective = ArchitectureObjective(CellSpace(), evaluator)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=2)
    assert all(trial.value is not None and trial.value > 0 for trial in study.trials)


def test_values_are_not_learned_as_classes(tmp_path: Path) -> None:
    """With one class the loss was 0, whatever the network said, and nothing was told."""
    data = save_values(tmp_path / "values.npz", (1,))
    with pytest.raises(ValueError, match="`num_classes` to be at least 2 but got 1"):
        Classification(1)
    for task in ("classification", Classification):
        evaluator = TrainingEvaluator(SMALL_CELL, data, task=task, metrics=["val_loss"])
        with pytest.raises(ValueError, match="`class_names` or `num_classes`, but got NpzDataMod"):
            evaluator(CELL)
    several = save_values(tmp_path / "several.npz", (2,))
    for values in (data, several):
        forced = TrainingEvaluator(
            SMALL_CELL, values, task=Classification(2), metrics=["val_loss"]
        )
        with pytest.raises((RuntimeError, ValueError)):
            forced(CELL)


def test_classes_are_not_learned_as_values(digits: SearchOnlyDigits) -> None:
    evaluator = TrainingEvaluator(BUILD, digits, task="regression")
    with pytest.raises(ValueError, match="`datamodule` to have values to predict .* got Search"):
        evaluator(CHAIN)


def test_costs_are_shared_before_anything_is_trained(digits: SearchOnlyDigits) -> None:
    evaluator = TrainingEvaluator(BUILD, digits, task=Classification(10))
    network = Classification(10).network(BUILD(CHAIN))
    assert evaluator.costs.value("params", CHAIN, (1, 8, 8)) == count_params(network)


# Other devices and processes.


@pytest.mark.slow
def test_two_processes_share_a_trial() -> None:
    # Of a cell with a dead convolution, which must not make the gradients wait for each other.
    script = """
import functools
from lightning_modules import TrainingEvaluator, build_cell_backbone
from lightning_modules.data import DigitsDataModule
from optuna_nas import CellSpace
cell = CellSpace().from_string(
    "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"
)
build = functools.partial(
    build_cell_backbone, input_shape=(1, 8, 8), channels=4, cells_per_stage=1
)
evaluator = TrainingEvaluator(
    build, DigitsDataModule(), accelerator="cpu", devices=2, strategy="ddp_fork"
)
print("accuracy", evaluator(cell, report=print).metrics["val_accuracy"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        env={"OMP_NUM_THREADS": "1", "PATH": "", "PYTHONPATH": str(Path.cwd())},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    assert 0 <= float(line.split()[1]) <= 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trial_on_a_gpu(digits: SearchOnlyDigits) -> None:
    before = torch.cuda.memory_allocated()
    state = torch.cuda.get_rng_state()
    evaluator = TrainingEvaluator(
        functools.partial(build_cell_backbone, **SHAPE, channels=8, cells_per_stage=1),
        digits,
        metrics=("val_accuracy", "latency_ms", "throughput"),
        accelerator="gpu",
        precision="16-mixed",
        max_epochs=2,
    )
    cell = CellSpace().from_string(
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
    )
    assert evaluator(cell).metrics["val_accuracy"] > 0
    assert torch.cuda.memory_allocated() == before
    assert torch.equal(torch.cuda.get_rng_state(), state)


# Arguments.


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("metrics", ()),
        ("metrics", "val_accuracy"),
        ("metrics", ("accuracy",)),
        ("max_epochs", 0),
        ("max_steps", 0),
        ("max_steps", -2),
        ("early_stopping_patience", 0),
        ("seed", -1),
        ("latency_batch_size", 0),
        ("throughput_batch_size", 0),
        ("learning_rate", -1.0),
        ("optimizer", "adam"),
        ("schedule", "linear"),
        ("weight_decay", -1.0),
        ("latency_threads", 0),
        ("task", "sorting"),
        ("monitor", "val_accuracy:up"),
        ("monitor", ":"),
    ],
)
def test_arguments_out_of_range(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"Expected argument `{argument}` to be .* but got"):
        TrainingEvaluator(BUILD, DigitsDataModule(), **{argument: value})


def test_unknown_metrics_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'val_accuracy', .*'energy_mj'\] but got \['flops'\]"):
        TrainingEvaluator(BUILD, DigitsDataModule(), metrics=["flops"])


def test_data_without_validation_or_shape() -> None:
    data = DigitsDataModule(train_on_validation=True)
    with pytest.raises(ValueError, match="`datamodule` to have a validation split"):
        TrainingEvaluator(BUILD, data)
    assert TrainingEvaluator(BUILD, data, metrics=["params"])(CHAIN).metrics["params"] > 0

    class Shapeless(pl.LightningDataModule):
        pass

    known = "`datamodule` to have classes for classification, by its attribute `class_names` or"
    with pytest.raises(ValueError, match=f"{known} `num_classes`, but got Shapeless"):
        TrainingEvaluator(BUILD, Shapeless(), metrics=["params"])(CHAIN)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without GPU")
def test_missing_accelerator() -> None:
    with pytest.raises(ValueError, match="`accelerator` to be auto or cpu, .* but got 'gpu'"):
        TrainingEvaluator(BUILD, DigitsDataModule(), accelerator="gpu")
