"""The Lightning module of a supernet: resumed as if never stopped, and each step its own."""

from __future__ import annotations

from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any
import warnings

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
import torch
from torch import Tensor

from lightning_modules.data import DigitsDataModule
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import supernet_rate_factor
from lightning_modules.supernet import SUPERNET_SCHEDULES
from lightning_modules.supernet import SupernetDataModule
from lightning_modules.supernet import SupernetModule
from lightning_modules.supernet.relaxations import RELAXATIONS
from lightning_modules.tasks import Classification
from lightning_modules.tasks import Task
from lightning_modules.training.trainer import make_trainer
from optuna_nas import CellSpace


SPACE = CellSpace(n_nodes=3)


def make_module(name: str = "gdas", task: Task | None = None, **arguments: Any) -> SupernetModule:
    torch.manual_seed(0)
    kind = RELAXATIONS.get(name)
    supernet = build_supernet(
        SPACE,
        task or Classification(10),
        input_shape=(1, 8, 8),
        channels=4,
        cells_per_stage=1,
        stages=1,
        **kind.supernet_arguments,
    )
    return SupernetModule(supernet, kind(supernet, seed=3), **arguments)


def make_data(module: SupernetModule, **arguments: Any) -> SupernetDataModule:
    data = DigitsDataModule(batch_size=128, **arguments)
    return SupernetDataModule(
        data, architecture_fraction=0.5 if module.relaxation.learns else 0.0, seed=2
    )


class Stop(pl.Callback):
    """Dies like a process that is killed, after an epoch has been saved."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise InterruptedError


class Watch(pl.Callback):
    """Keeps what a run does: rates, norms of the gradients, and what each optimizer changes."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.norms: list[float] = []
        self.optimizers: list[type[torch.optim.Optimizer]] = []

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.optimizers.append(type(optimizer))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        grads = [p.grad for p in pl_module.supernet.parameters() if p.grad is not None]
        self.norms.append(float(torch.linalg.vector_norm(torch.stack([g.norm() for g in grads]))))


def train(
    module: SupernetModule,
    data: SupernetDataModule,
    *callbacks: pl.Callback,
    max_epochs: int = 1,
    resume: str | None = None,
    **arguments: Any,
) -> pl.Trainer:
    trainer = make_trainer(
        **{
            "max_epochs": max_epochs,
            "accelerator": "cpu",
            "callbacks": list(callbacks),
            "limit_train_batches": 3,
            "limit_val_batches": 1,
            "enable_checkpointing": any(isinstance(c, ModelCheckpoint) for c in callbacks),
            **arguments,
        }
    )
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=False)
    return trainer


def state_of(trainer: pl.Trainer, module: SupernetModule) -> dict[str, Tensor]:
    """Return all that a training changes, by name."""
    state = dict(module.state_dict())
    for i, optimizer in enumerate(trainer.optimizers):
        for number, entry in optimizer.state_dict()["state"].items():
            for key, value in entry.items():
                if value is not None:
                    state[f"optimizer {i} {number} {key}"] = torch.as_tensor(value)
        state[f"optimizer {i} rate"] = torch.tensor(optimizer.param_groups[0]["lr"])
    for name, value in trainer.callback_metrics.items():
        state[f"metric {name}"] = value
    return {name: tensor.clone() for name, tensor in state.items()}


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("name", ["gdas", "darts", "fairnas"])
def test_a_resumed_training_equals_an_uninterrupted_one(
    name: str, augment: bool, tmp_path: Path
) -> None:
    arguments = {"crop_padding": 1, "horizontal_flip": True} if augment else {}
    module = make_module(name)
    whole = state_of(train(module, make_data(module, **arguments), max_epochs=3), module)
    assert whole["n_steps"] == 9
    if module.relaxation.learns:
        assert whole["optimizer 1 0 step"] == 9

    stopped = make_module(name)
    keep = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1)
    with pytest.raises(InterruptedError):
        train(stopped, make_data(stopped, **arguments), keep, Stop(2), max_epochs=3)
    torch.manual_seed(12345)
    resumed = make_module(name)
    with torch.no_grad():
        for parameter in resumed.parameters():  # Nothing of it is to be left.
            parameter.zero_()
    torch.manual_seed(54321)
    trainer = train(
        resumed,
        make_data(resumed, **arguments),
        max_epochs=3,
        resume=str(tmp_path / "epoch=1.ckpt"),
    )
    assert_same(whole, state_of(trainer, resumed))


def test_augmentation_matters_to_the_comparison() -> None:
    states = []
    for padding in (0, 1):
        module = make_module()
        train(module, make_data(module, crop_padding=padding))
        states.append(module.state_dict()["supernet.network.head.weight"])
    assert not torch.equal(*states)


# Schedules.


@pytest.mark.parametrize("schedule", SUPERNET_SCHEDULES)
def test_each_step_has_the_rate_of_the_schedule(schedule: str) -> None:
    module, watch = make_module("fairnas", schedule=schedule, learning_rate=0.2), Watch()
    train(module, make_data(module), watch, max_epochs=2)
    expected = [0.2 * supernet_rate_factor(schedule, n / 6) for n in range(6)]
    assert watch.rates == pytest.approx(expected)


# The steps.


@pytest.mark.parametrize(("clip", "largest"), [(1e-3, 1e-3), (0.0, math.inf)])
def test_gradients_of_the_weights_are_clipped(clip: float, largest: float) -> None:
    module, watch = make_module("darts", gradient_clip=clip), Watch()
    train(module, make_data(module), watch)
    assert max(watch.norms) <= largest * 1.001
    assert max(watch.norms) > 0.9e-3 if clip else min(watch.norms) > 1e-2


class Alone(pl.Callback):
    """Checks before and after each optimizer's step that the other's parameters stay."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, bool, bool]] = []
        self._found: tuple[str, list[Tensor], list[Tensor]] | None = None

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self._compare(pl_module)
        self._found = (type(optimizer).__name__, *self._parameters(pl_module))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        self._compare(pl_module)
        self._found = None

    def _parameters(self, module: Any) -> tuple[list[Tensor], list[Tensor]]:
        weights = [p.detach().clone() for p in module.supernet.parameters()]
        return weights, [p.detach().clone() for p in module.relaxation.parameters()]

    def _compare(self, module: Any) -> None:
        if self._found is not None:
            name, *before = self._found
            changed = [
                any(not torch.equal(a, b) for a, b in zip(old, new, strict=True))
                for old, new in zip(before, self._parameters(module), strict=True)
            ]
            self.changes.append((name, changed[0], changed[1]))


@pytest.mark.parametrize("name", ["gdas", "darts", "fbnet"])
def test_each_optimizer_changes_its_own_parameters_alone(name: str) -> None:
    module, alone = make_module(name), Alone()
    train(module, make_data(module), alone)
    assert alone.changes == 3 * [("Adam", False, True), ("SGD", True, False)]


def test_no_architecture_steps_before_their_start() -> None:
    module, watch = make_module("darts", architecture_start=0.5), Watch()
    train(module, make_data(module), watch, max_epochs=2)
    sgd, adam = torch.optim.SGD, torch.optim.Adam
    assert watch.optimizers == [sgd, sgd, sgd, adam, sgd, adam, sgd, adam, sgd]


def test_paths_without_logits_have_one_optimizer() -> None:
    module = make_module("spos")
    trainer = train(module, make_data(module))
    assert len(trainer.optimizers) == 1
    with pytest.raises(ValueError, match="`spos` trains paths alone"):
        module.best_architecture()


def test_the_logged_values() -> None:
    module = make_module("darts", architecture_learning_rate=1e-9, architecture_weight_decay=0)
    logged = train(module, make_data(module)).callback_metrics
    assert set(logged) == {
        "supernet_loss",
        "architecture_loss",
        "supernet_val_accuracy",
        "architecture_entropy",
    }
    assert float(logged["architecture_entropy"]) == pytest.approx(math.log(5), abs=1e-4)
    assert 0 <= float(logged["supernet_val_accuracy"]) <= 1
    assert SPACE.contains(module.best_architecture())


@dataclass(frozen=True)
class Unmeasured(Classification):
    """A task with a loss alone."""

    metrics = ()


def test_a_task_without_metrics_logs_its_loss() -> None:
    module = make_module("darts", task=Unmeasured(10))
    logged = train(module, make_data(module)).callback_metrics
    assert set(logged) == {
        "supernet_loss",
        "architecture_loss",
        "supernet_val_loss",
        "architecture_entropy",
    }
    assert 0 < float(logged["supernet_val_loss"]) < 10


def test_mixed_precision() -> None:
    module = make_module("darts")
    logged = train(module, make_data(module), precision="bf16-mixed").callback_metrics
    assert float(logged["supernet_loss"]) < 3
    assert all(p.dtype == torch.float32 for p in module.parameters())
    exact = make_module("darts")
    train(exact, make_data(exact))
    name = "supernet.network.head.weight"
    assert not torch.equal(module.state_dict()[name], exact.state_dict()[name])
    torch.testing.assert_close(
        module.state_dict()[name], exact.state_dict()[name], atol=0.05, rtol=0
    )


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("schedule", "linear"),
        ("gradient_clip", -1.0),
        ("gradient_clip", math.nan),
        ("architecture_start", 1.0),
        ("architecture_start", -0.1),
        ("learning_rate", 0.0),
        ("architecture_learning_rate", -1.0),
        ("weight_decay", -1e-9),
        ("architecture_weight_decay", math.nan),
    ],
)
def test_arguments_out_of_range(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^Expected argument `{argument}` to be .* but got "):
        make_module(**{argument: value})


def test_training_without_end() -> None:
    module = make_module()
    with pytest.raises(ValueError, match="`max_epochs`"):
        train(module, make_data(module), max_epochs=-1)


# Several processes, and the GPU.


class SameEverywhere(pl.Callback):
    """Compares what each process holds, and that each has seen images of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, *args: Any) -> None:
        self.seen.append(float(batch["weights"][0].double().abs().sum()))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        sums = [p.detach().double().flatten() for p in pl_module.parameters()]
        torch.save(
            {"parameters": torch.cat(sums), "seen": self.seen},
            self.path / f"{trainer.global_rank}.pt",
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gdas", "fairnas"])
def test_two_processes_hold_the_same_weights(name: str, tmp_path: Path) -> None:
    module = make_module(name)
    before = torch.cat([p.detach().double().flatten() for p in module.parameters()])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*sync_dist.*")
        train(
            module,
            make_data(module),
            SameEverywhere(tmp_path),
            devices=2,
            strategy="ddp_spawn_find_unused_parameters_true",
            limit_train_batches=2,
        )
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert torch.equal(first["parameters"], second["parameters"])
    assert not torch.equal(first["parameters"], before)
    assert not set(first["seen"]) & set(second["seen"])
    after = torch.cat([p.detach().double().flatten() for p in module.parameters()])
    assert torch.equal(after, first["parameters"])


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["gdas", "darts", "fbnet", "fairnas"])
def test_a_gpu_trains_as_the_cpu_does(name: str) -> None:
    states = []
    for accelerator in ("cpu", "gpu"):
        module = make_module(name)
        train(module, make_data(module), accelerator=accelerator, devices=1)
        states.append({k: v.cpu() for k, v in module.state_dict().items()})
    for key, tensor in states[0].items():
        torch.testing.assert_close(states[1][key], tensor, atol=2e-2, rtol=2e-2, msg=key)


@pytest.mark.gpu
def test_mixed_precision_on_a_gpu() -> None:
    for precision in ("bf16-mixed", "16-mixed"):
        module = make_module("darts")
        trainer = train(
            module, make_data(module), accelerator="gpu", devices=1, precision=precision
        )
        assert float(trainer.callback_metrics["supernet_loss"]) < 3
