"""The module of a task: what it logs, its optimizers and schedules, and its predictions."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset

from lightning_modules import build_chain_backbone
from lightning_modules import Classification
from lightning_modules import Regression
from lightning_modules import Task
from lightning_modules import TaskModule
from lightning_modules.tasks import task_to_dict
from optuna_nas import ChainSpace


TASK = Classification(3)


def make_loader(n: int = 50, seed: int = 0, targets: Tensor | None = None) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (n,), generator=generator)
    images = torch.randn(n, 1, 4, 4, generator=generator) * 0.3
    images[torch.arange(n), 0, labels] += 2.0  # The class is the bright row.
    return DataLoader(TensorDataset(images, labels if targets is None else targets), batch_size=16)


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 4, 3)
    )


def make_trainer(**arguments: Any) -> pl.Trainer:
    quiet: dict[str, Any] = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(**(quiet | arguments))


def make_module(task: Task = TASK, **arguments: Any) -> TaskModule:
    return TaskModule(make_network(), task, **arguments)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_learns_an_easy_task(optimizer: str, schedule: str) -> None:
    module = make_module(optimizer=optimizer, schedule=schedule)
    trainer = make_trainer(max_epochs=5)
    trainer.fit(module, make_loader(), make_loader(seed=1))
    assert trainer.callback_metrics["val_accuracy"] > 0.9
    assert trainer.callback_metrics["train_loss"] < 0.9


def test_logged_metrics_are_those_of_the_whole_split() -> None:
    module = make_module()
    trainer = make_trainer()
    loader = make_loader()
    images, labels = loader.dataset.tensors  # type: ignore[attr-defined]
    [logged] = trainer.test(module, loader, verbose=False)
    [validated] = trainer.validate(module, loader, verbose=False)
    with torch.no_grad():
        logits = module.eval()(images)
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    loss = F.cross_entropy(logits, labels).item()
    assert logged == pytest.approx({"test_accuracy": accuracy, "test_loss": loss}, rel=1e-5)
    assert validated == pytest.approx({"val_accuracy": accuracy, "val_loss": loss}, rel=1e-5)


def test_label_smoothing_is_for_training_only() -> None:
    module = make_module(Classification(3, label_smoothing=0.2), learning_rate=1e-12)
    trainer = make_trainer(max_epochs=1)
    trainer.fit(module, make_loader(), make_loader())
    images, labels = make_loader().dataset.tensors  # type: ignore[attr-defined]
    with torch.no_grad():
        logits = module(images)
    train, val = (trainer.callback_metrics[name].item() for name in ("train_loss", "val_loss"))
    assert val == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-4)
    smoothed = F.cross_entropy(logits, labels, label_smoothing=0.2).item()
    assert train == pytest.approx(smoothed, rel=1e-4)


def test_predictions_are_probabilities() -> None:
    module = make_module()
    batches = make_trainer().predict(module, make_loader())
    assert batches is not None
    probabilities = torch.cat(batches)  # type: ignore[arg-type]
    assert probabilities.shape == (50, 3)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(50))
    images, _ = make_loader().dataset.tensors  # type: ignore[attr-defined]
    torch.testing.assert_close(module.eval().predict_step(images), probabilities)


def test_schedule_reaches_its_peak_and_its_end() -> None:
    rates: list[float] = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    module = make_module(learning_rate=0.5)
    make_trainer(max_epochs=5, callbacks=[Watch()]).fit(module, make_loader(), make_loader())
    assert len(rates) == 20
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[6] == pytest.approx(0.5)
    assert rates[-1] < 0.02


def test_schedule_needs_an_end() -> None:
    with pytest.raises(ValueError, match="`max_epochs` or `max_steps` for schedule='one_cycle'"):
        make_trainer(max_epochs=-1).fit(make_module(), make_loader())


def test_schedule_needs_a_batch() -> None:
    loader = DataLoader(make_loader(n=3).dataset, batch_size=16, drop_last=True)
    with pytest.raises(ValueError, match="training data to have a batch at least but got none"):
        make_trainer(max_epochs=1).fit(make_module(), loader)


def test_frozen_weights_are_not_trained() -> None:
    module = make_module()
    frozen = module.network[0]  # type: ignore[index]
    frozen.requires_grad_(False)
    before = frozen.weight.clone()
    make_trainer(max_epochs=1).fit(module, make_loader(), make_loader())
    assert torch.equal(frozen.weight, before)


def test_hyperparameters_are_plain_json() -> None:
    module = make_module(learning_rate=0.1)
    assert json.loads(json.dumps(dict(module.hparams)))["learning_rate"] == 0.1
    assert "network" not in module.hparams


def test_memory_format() -> None:
    module, plain = make_module(), make_module(channels_last=False)
    weight = torch.zeros(8, 4, 3, 3)
    network = nn.Conv2d(4, 8, 3)
    network.weight.data = weight
    formatted = TaskModule(network, Classification(8)).network.weight
    assert formatted.is_contiguous(memory_format=torch.channels_last)  # type: ignore[operator]
    images = torch.randn(5, 1, 4, 4)
    torch.testing.assert_close(module(images), plain(images))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1.0),
        ("optimizer", "adam"),
        ("schedule", "linear"),
    ],
)
def test_arguments_out_of_range(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{argument}` to be .* but got '?{value}"):
        TaskModule(nn.Identity(), TASK, **{argument: value})


# The network and the task.


def test_a_backbone_gets_the_head_of_the_task() -> None:
    backbone = build_chain_backbone(ChainSpace().from_string("C-S"), input_shape=(1, 4, 4))
    assert TaskModule(backbone, Regression(2))(torch.zeros(3, 1, 4, 4)).shape == (3, 2)
    assert TaskModule(backbone, TASK)(torch.zeros(3, 1, 4, 4)).shape == (3, 3)
    network = make_network()
    assert TaskModule(network, TASK).network is network


def test_the_task_may_be_described() -> None:
    task = Regression(2, (1.0, 2.0), (3.0, 4.0))
    module = make_module(task)
    assert module.hparams["task"] == task_to_dict(task)
    described = TaskModule(make_network(), module.hparams["task"])
    assert described.task == task


def test_it_logs_what_the_task_says() -> None:
    for task in (TASK, Regression(3)):
        module = make_module(task, metrics=task.trained_metrics())
        trainer = make_trainer(max_epochs=1)
        targets = None if task is TASK else torch.randn(50, 3)
        loader = make_loader(targets=targets)
        trainer.fit(module, loader, loader)
        assert set(trainer.callback_metrics) == set(task.trained_metrics())
        [tested] = trainer.test(module, loader, verbose=False)
        assert set(tested) == {"test_loss", *(f"test_{metric.name}" for metric in task.metrics)}


def test_metrics_that_are_measured_only_where_asked_for() -> None:
    for wanted, measured in [((), {"accuracy"}), (["val_f1"], {"accuracy", "f1"})]:
        module = make_module(metrics=wanted)
        assert {*module.val_metrics} == {*module.test_metrics} == measured
    with pytest.raises(ValueError, match="`metrics` to be of val_accuracy, .* got .'val_f2'"):
        make_module(metrics=["val_f2"])


def test_the_training_loss_is_the_mean_over_samples() -> None:
    module = make_module(learning_rate=1e-12)
    trainer = make_trainer(max_epochs=1)
    trainer.fit(module, make_loader(n=17), make_loader())  # Batches of 16 and of 1.
    images, labels = make_loader(n=17).dataset.tensors  # type: ignore[attr-defined]
    with torch.no_grad():
        expected = F.cross_entropy(module(images), labels).item()
    assert trainer.callback_metrics["train_loss"].item() == pytest.approx(expected, rel=1e-4)


def test_inputs_of_any_form() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 1)

        def forward(self, inputs: Any) -> Tensor:
            values = inputs["a"] + inputs["b"] if isinstance(inputs, dict) else sum(inputs)
            found: Tensor = self.layer(values)
            return found

    a, b, y = torch.randn(10, 4), torch.randn(10, 4), torch.randn(10)
    for samples in (
        [((a[i], b[i]), y[i]) for i in range(10)],
        [({"a": a[i], "b": b[i]}, y[i]) for i in range(10)],
    ):
        torch.manual_seed(0)
        module = TaskModule(Sum(), Regression())
        trainer = make_trainer(max_epochs=1)
        loader: Any = DataLoader(samples, batch_size=5)  # type: ignore[arg-type]
        trainer.fit(module, loader, loader)
        with torch.no_grad():
            expected = F.mse_loss(module.network.layer(a + b)[:, 0], y)  # type: ignore[operator, union-attr]
        assert trainer.callback_metrics["val_loss"].item() == pytest.approx(expected.item())


@pytest.mark.filterwarnings("error:Trying to infer the `batch_size`")
def test_targets_may_have_sizes_of_their_own() -> None:
    """Such as the boxes in images: samples are counted by the inputs then."""

    class Boxes(Regression):
        def loss(self, output: Tensor, target: Any) -> Tensor:
            return torch.stack([boxes["number"].mean() for boxes in target]).mean() + 0 * output[0]

        def make_metrics(self) -> dict[str, Any]:
            return {}

    batches = [
        (torch.zeros(3, 2), [{"number": torch.full((n,), 1.0)} for n in (5, 1, 2)]),
        (torch.zeros(1, 2), [{"number": torch.full((7,), 5.0)}]),
    ]
    loader: Any = DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
    trainer = make_trainer(max_epochs=1)
    trainer.fit(TaskModule(nn.Linear(2, 1), Boxes()), loader, loader)
    assert trainer.callback_metrics["train_loss"].item() == pytest.approx(2)
    assert trainer.callback_metrics["val_loss"].item() == pytest.approx(2)


# On a GPU the program must not wait for values.


class CountReads(TorchDispatchMode):
    """Counts how often the program asks for the value of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_reads_are_counted() -> None:
    with CountReads() as reads:
        torch.ones(()).item()
        float(torch.ones(1))
        int(torch.ones(1))
        bool(torch.ones(1) > 0)
    assert reads.n == 4


@pytest.mark.parametrize(
    "task",
    [
        TASK,
        Classification(3, label_smoothing=0.1),
        Regression(3),
        Regression(3, (1.0, 2.0, 3.0), (0.1, 0.2, 0.3)),
    ],
)
def test_steps_do_not_ask_for_values(task: Task) -> None:
    module = make_module(task)
    n_reads: dict[str, list[int]] = {"train": [], "val": []}

    class Watch(TaskModule):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            with CountReads() as reads:
                loss = super().training_step(batch, batch_idx)
                loss.backward(retain_graph=True)
            n_reads["train"].append(reads.n)
            return loss

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            with CountReads() as reads:
                super().validation_step(batch, batch_idx)
            n_reads["val"].append(reads.n)

    module.__class__ = Watch
    targets = torch.randn(50, 3) if isinstance(task, Regression) else None
    loader = make_loader(targets=targets)
    make_trainer(max_epochs=1, num_sanity_val_steps=0).fit(module, loader, loader)
    assert n_reads == {"train": [0] * 4, "val": [0] * 4}
