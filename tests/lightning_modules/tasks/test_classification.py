"""Classification: head, loss, accuracy and predictions, against scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
from sklearn.metrics import accuracy_score
from sklearn.metrics import log_loss
import torch

from lightning_modules import Classification
from lightning_modules import FeatureVector
from lightning_modules.data import DigitsDataModule
from lightning_modules.data import NpzDataModule


def outputs(n: int = 50, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, classes, generator=generator)
    return logits, torch.randint(0, classes, (n,), generator=generator)


def test_head_and_output() -> None:
    task = Classification(4)
    head = task.head(FeatureVector(7))
    assert head(torch.zeros(3, 7)).shape == (3, *task.output_shape) == (3, 4)
    assert sum(p.numel() for p in head.parameters()) == 4 * 7 + 4


def test_loss_and_predictions() -> None:
    logits, labels = outputs()
    task = Classification(4)
    probabilities = task.predict(logits)
    assert torch.allclose(probabilities.sum(1), torch.ones(50))
    expected = log_loss(labels.numpy(), probabilities.double().numpy(), labels=range(4))
    assert task.loss(logits, labels).item() == pytest.approx(expected, rel=1e-6)


def test_smoothing_is_for_training_steps() -> None:
    logits, labels = outputs()
    task, plain = Classification(4, label_smoothing=0.2), Classification(4)
    assert task.loss(logits, labels) == plain.loss(logits, labels)
    assert plain.training_loss(logits, labels) == plain.loss(logits, labels)
    log_probabilities = logits.log_softmax(1)
    targets = torch.full((50, 4), 0.2 / 4)
    targets[torch.arange(50), labels] += 0.8
    expected = -(targets * log_probabilities).sum(1).mean()
    torch.testing.assert_close(task.training_loss(logits, labels), expected)


def test_loss_of_another_networks_prediction() -> None:
    logits, _ = outputs()
    task = Classification(4)
    probabilities = task.predict(logits)
    entropy = -(probabilities * probabilities.log()).sum(1).mean()
    torch.testing.assert_close(task.loss(logits, probabilities), entropy)
    assert task.loss(logits.flip(1), probabilities) > entropy


def test_accuracy_is_that_of_all_samples() -> None:
    logits, labels = outputs()
    metric = Classification(4).make_metrics()["accuracy"]
    for part in (slice(0, 20), slice(20, 50)):
        metric.update(logits[part], labels[part])
    expected = accuracy_score(labels.numpy(), logits.argmax(1).numpy())
    assert metric.compute().item() == pytest.approx(expected)
    assert Classification(4).score(logits, labels).item() == pytest.approx(expected)


def test_guess() -> None:
    task = Classification(10)
    assert task.guess_loss == math.log(10)
    labels = torch.arange(10)
    assert task.loss(torch.zeros(10, 10), labels).item() == pytest.approx(task.guess_loss)


def test_describe() -> None:
    prediction = torch.tensor([0.1, 0.7, 0.2])
    named = Classification(3, ("cat", "dog", "cow"))
    assert named.describe(prediction) == {"class": "dog", "probability": "0.700"}
    assert Classification(3).describe(prediction) == {"class": "1", "probability": "0.700"}


class Data(pl.LightningDataModule):
    """Data of somebody else's."""

    def __init__(self, **facts: Any) -> None:
        super().__init__()
        vars(self).update(facts)


def test_from_data() -> None:
    make = Classification.from_data
    assert make(DigitsDataModule()) == Classification(10, tuple("0123456789"))
    assert make(Data(num_classes=3)) == Classification(3)
    assert make(Data(class_names=["a", 7])) == Classification(2, ("a", "7"))
    assert make(Data(num_classes=3, class_names=None)) == Classification(3)
    assert make(Data(num_classes=np.int64(3), class_names=["a"])) == Classification(3)
    assert make(Data(), num_classes=2) == Classification(2)
    named = make(Data(class_names=["a", "b"]), class_names=("x", "y"), label_smoothing=0.1)
    assert named == Classification(2, ("x", "y"), 0.1)


def test_data_without_classes(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "values.npz", X=rng.random((9, 4, 4)), y=rng.random(9))
    message = "to have classes for classification, by its attribute `class_names` or `num_classes`"
    for data in (Data(), Data(class_names=[]), NpzDataModule(tmp_path / "values.npz")):
        with pytest.raises(ValueError, match=f"{message}, but got {type(data).__name__}"):
            Classification.from_data(data)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("num_classes", 0, "at least 2 but got 0"),
        ("num_classes", 2.0, "at least 2 but got 2.0"),
        ("num_classes", True, "at least 2 but got True"),
        ("class_names", ("a", "b"), "3 names but got 2"),
        ("class_names", "abc", "a list of texts but got 'abc'"),
        ("class_names", (1, 2, 3), "a list of texts but got"),
        ("label_smoothing", 1.0, r"in \[0, 1\) but got 1.0"),
        ("label_smoothing", -0.1, r"in \[0, 1\) but got -0.1"),
        ("label_smoothing", math.nan, r"in \[0, 1\) but got nan"),
    ],
)
def test_arguments_out_of_range(argument: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"`{argument}` to be {message}"):
        Classification(**({"num_classes": 3} | {argument: value}))


def test_names_are_kept_as_a_tuple() -> None:
    assert Classification(2, ["a", "b"]).class_names == ("a", "b")  # type: ignore[arg-type]
