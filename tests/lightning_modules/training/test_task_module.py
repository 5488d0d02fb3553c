"""The module of a task: what it logs, its optimizers and schedules, and its predictions."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset

from lightning_modules import Classification
from lightning_modules import TaskModule
from lightning_modules.training import learning_rate_factor


def make_loader(n: int = 50, seed: int = 0) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (n,), generator=generator)
    images = torch.randn(n, 1, 4, 4, generator=generator) * 0.3
    images[torch.arange(n), 0, labels] += 2.0  # The class is the bright row.
    return DataLoader(TensorDataset(images, labels), batch_size=16)


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))


def make_trainer(**arguments: Any) -> pl.Trainer:
    quiet: dict[str, Any] = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(**(quiet | arguments))


def make_classifier(label_smoothing: float = 0.0, **arguments: Any) -> TaskModule:
    network = make_network()
    network(torch.zeros(1, 1, 4, 4))
    return TaskModule(network, Classification(3, label_smoothing=label_smoothing), **arguments)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_learns_an_easy_task(optimizer: str, schedule: str) -> None:
    classifier = make_classifier(optimizer=optimizer, schedule=schedule)
    trainer = make_trainer(max_epochs=5)
    trainer.fit(classifier, make_loader(), make_loader(seed=1))
    assert trainer.callback_metrics["val_accuracy"] > 0.9
    assert trainer.callback_metrics["train_loss"] < 0.9


def test_logged_metrics_are_those_of_the_whole_split() -> None:
    classifier = make_classifier()
    trainer = make_trainer()
    loader = make_loader()
    images, labels = loader.dataset.tensors  # type: ignore[attr-defined]
    [logged] = trainer.test(classifier, loader, verbose=False)
    [validated] = trainer.validate(classifier, loader, verbose=False)
    with torch.no_grad():
        logits = classifier.eval()(images)
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    loss = F.cross_entropy(logits, labels).item()
    assert logged == pytest.approx({"test_accuracy": accuracy, "test_loss": loss}, rel=1e-5)
    assert validated == pytest.approx({"val_accuracy": accuracy, "val_loss": loss}, rel=1e-5)


def test_label_smoothing_is_for_training_only() -> None:
    classifier = make_classifier(label_smoothing=0.2, learning_rate=1e-12)
    trainer = make_trainer(max_epochs=1)
    trainer.fit(classifier, make_loader(), make_loader())
    images, labels = make_loader().dataset.tensors  # type: ignore[attr-defined]
    with torch.no_grad():
        logits = classifier(images)
    train, val = (trainer.callback_metrics[name].item() for name in ("train_loss", "val_loss"))
    assert val == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-4)
    smoothed = F.cross_entropy(logits, labels, label_smoothing=0.2).item()
    assert train == pytest.approx(smoothed, rel=1e-4)


def test_predictions_are_probabilities() -> None:
    classifier = make_classifier()
    batches = make_trainer().predict(classifier, make_loader())
    assert batches is not None
    probabilities = torch.cat(batches)  # type: ignore[arg-type]
    assert probabilities.shape == (50, 3)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(50))
    images, _ = make_loader().dataset.tensors  # type: ignore[attr-defined]
    torch.testing.assert_close(classifier.eval().predict_step(images), probabilities)


def test_schedule_reaches_its_peak_and_its_end() -> None:
    rates: list[float] = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    classifier = make_classifier(learning_rate=0.5)
    make_trainer(max_epochs=5, callbacks=[Watch()]).fit(classifier, make_loader(), make_loader())
    assert len(rates) == 20
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[6] == pytest.approx(0.5)
    assert rates[-1] < 0.02


def test_learning_rate_factor() -> None:
    assert learning_rate_factor("constant", 0.7) == 1
    assert learning_rate_factor("cosine", 0) == 1
    assert learning_rate_factor("cosine", 0.5) == pytest.approx(0.5)
    for schedule in ("cosine", "one_cycle"):
        assert learning_rate_factor(schedule, 1.0) == pytest.approx(0)
        assert learning_rate_factor(schedule, 1.5) == pytest.approx(0)
    with pytest.raises(ValueError, match=r"`schedule` .* but got 'linear'"):
        learning_rate_factor("linear", 0.5)


def test_schedule_needs_an_end() -> None:
    with pytest.raises(ValueError, match="`max_epochs` or `max_steps` for schedule='one_cycle'"):
        make_trainer(max_epochs=-1).fit(make_classifier(), make_loader())


def test_frozen_weights_are_not_trained() -> None:
    classifier = make_classifier()
    frozen = classifier.network[0]  # type: ignore[index]
    frozen.requires_grad_(False)
    before = frozen.weight.clone()
    make_trainer(max_epochs=1).fit(classifier, make_loader(), make_loader())
    assert torch.equal(frozen.weight, before)


def test_hyperparameters_are_plain_json() -> None:
    classifier = make_classifier(learning_rate=0.1)
    assert json.loads(json.dumps(dict(classifier.hparams)))["learning_rate"] == 0.1
    assert "network" not in classifier.hparams


def test_memory_format() -> None:
    classifier, plain = make_classifier(), make_classifier(channels_last=False)
    weight = torch.zeros(8, 4, 3, 3)
    network = nn.Conv2d(4, 8, 3)
    network.weight.data = weight
    formatted = TaskModule(network, Classification(8)).network.weight
    assert formatted.is_contiguous(memory_format=torch.channels_last)  # type: ignore[operator]
    images = torch.randn(5, 1, 4, 4)
    torch.testing.assert_close(classifier(images), plain(images))


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
        TaskModule(nn.Identity(), Classification(3), **{argument: value})
