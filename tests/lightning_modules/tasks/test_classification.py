"""The task of telling classes apart: against scikit-learn, and what is refused."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.metrics import log_loss
import torch
from torch import nn
from torch.nn import functional as F

from lightning_modules import Classification
from lightning_modules import FeatureVector
from lightning_modules.data import DigitsDataModule
from optuna_nas.metrics import METRICS


TASK = Classification(4)


def make_batch(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    output = 2 * torch.randn(n, 4, generator=generator)
    return output, torch.randint(0, 4, (n,), generator=generator)


def test_the_loss_is_the_mean_cross_entropy() -> None:
    output, target = make_batch()
    expected = log_loss(target, torch.softmax(output.double(), 1), labels=range(4))
    assert TASK.loss(output, target).item() == pytest.approx(expected, rel=1e-5)
    assert TASK.training_loss(output, target).item() == pytest.approx(expected, rel=1e-5)


def test_labels_are_smoothed_in_training_alone() -> None:
    task = Classification(4, label_smoothing=0.2)
    output, target = make_batch()
    smoothed = F.one_hot(target, 4) * 0.8 + 0.2 / 4
    expected = -(smoothed * torch.log_softmax(output, 1)).sum(1).mean()
    torch.testing.assert_close(task.training_loss(output, target), expected)
    torch.testing.assert_close(task.loss(output, target), TASK.loss(output, target))


def test_the_target_may_be_the_prediction_of_another_output() -> None:
    output, _ = make_batch()
    teacher = torch.randn(60, 4)
    expected = -(torch.softmax(teacher, 1) * torch.log_softmax(output, 1)).sum(1).mean()
    torch.testing.assert_close(TASK.loss(output, TASK.predict(teacher)), expected)


def test_the_accuracy_is_over_samples_of_all_batches() -> None:
    output, target = make_batch()
    expected = accuracy_score(target, output.argmax(1))
    metric = TASK.make_metrics()["accuracy"]
    for part in (slice(0, 50), slice(50, 60)):
        metric.update(output[part], target[part])
    assert float(metric.compute()) == pytest.approx(expected)
    assert float(TASK.score(output, target)) == pytest.approx(expected)
    assert set(TASK.make_metrics()) == {metric.name for metric in TASK.metrics}


def test_guessing() -> None:
    assert TASK.guess_loss == math.log(4)
    target = torch.arange(4)
    assert TASK.loss(torch.zeros(4, 4), target).item() == pytest.approx(TASK.guess_loss)


def test_predictions_are_probabilities_and_said_by_name() -> None:
    output = torch.tensor([[0.0, math.log(3.0)]])
    predicted = Classification(2).predict(output)
    torch.testing.assert_close(predicted, torch.tensor([[0.25, 0.75]]))
    assert Classification(2).describe(predicted[0]) == {"class": "1", "probability": "0.750"}
    named = Classification(2, ("cat", "dog"))
    assert named.describe(predicted[0]) == {"class": "dog", "probability": "0.750"}


def test_the_head() -> None:
    head = TASK.head(FeatureVector(7))
    assert isinstance(head, nn.Linear)
    assert (head.in_features, head.out_features) == (7, 4)
    assert TASK.output_shape == (4,)
    assert TASK.head(FeatureVector(7)) is not head


def test_names_of_metrics() -> None:
    assert Classification.primary() == "val_accuracy"
    assert Classification.trained_metrics() == ("val_accuracy", "val_loss", "train_loss")
    assert METRICS.get("test_accuracy").heading == "test accuracy"
    assert METRICS.get("val_accuracy").maximize
    assert METRICS.get("val_accuracy").text(0.5) == "50.00%"


def test_from_data() -> None:
    digits = DigitsDataModule()
    assert Classification.from_data(digits) == Classification(10, tuple("0123456789"))
    smooth = Classification.from_data(digits, label_smoothing=0.1)
    assert smooth.label_smoothing == 0.1
    for attributes, task in [
        ({"num_classes": 3}, Classification(3)),
        ({"num_classes": np.int64(3), "class_names": None}, Classification(3)),
        ({"num_classes": 3, "class_names": ["a"]}, Classification(3)),
        ({"num_classes": None, "class_names": ["a", "b"]}, Classification(2, ("a", "b"))),
        ({"class_names": np.array([7, 8])}, Classification(2, ("7", "8"))),
    ]:
        data: Any = SimpleNamespace(**attributes)
        assert Classification.from_data(data) == task


@pytest.mark.parametrize("attributes", [{}, {"class_names": []}, {"num_classes": 0}])
def test_data_without_classes(attributes: dict[str, Any]) -> None:
    data: Any = SimpleNamespace(**attributes)
    with pytest.raises(ValueError, match="`num_classes` or `class_names` for .* got SimpleName"):
        Classification.from_data(data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "`num_classes` to be at least 2 but got 0"),
        # Its loss would be 0 whatever the network says.
        ({"num_classes": 1}, "`num_classes` to be at least 2 but got 1"),
        ({"num_classes": 2.0}, "`num_classes` to be at least 2 but got 2.0"),
        ({"class_names": ("a",)}, "`class_names` to be 3 names but got 1"),
        ({"class_names": "abc"}, "`class_names` to be a list of texts but got 'abc'"),
        ({"class_names": (1, 2, 3)}, r"`class_names` to be a list of texts but got \(1, 2, 3\)"),
        ({"label_smoothing": 1.0}, r"`label_smoothing` to be in \[0, 1\) but got 1.0"),
        ({"label_smoothing": -0.1}, r"`label_smoothing` to be in \[0, 1\) but got -0.1"),
        ({"label_smoothing": math.nan}, r"`label_smoothing` to be in \[0, 1\) but got nan"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Classification(**{"num_classes": 3, **arguments})


@pytest.mark.parametrize("shape", [(8,), (8, 1)])
def test_real_values_are_no_classes(shape: tuple[int, ...]) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        TASK.loss(torch.zeros(8, 4), torch.randn(shape))


def test_real_values_have_no_accuracy() -> None:
    """Cross-entropy takes them for probabilities."""
    metric = TASK.make_metrics()["accuracy"]
    with pytest.raises(ValueError, match=r"to be classes, .* got torch.float32 of shape \(8, 4\)"):
        metric.update(torch.zeros(8, 4), torch.randn(8, 4))
    metric.update(torch.zeros(8, 4), torch.zeros(8, dtype=torch.int32))
