"""The digits, and what all data modules share of their arguments."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.datasets import load_digits
import torch
from torch import Tensor

from lightning_modules.data import DigitsDataModule


def _all(loader: Any) -> tuple[Tensor, Tensor]:
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


class TestDigits:
    def test_facts_before_any_fit(self) -> None:
        data = DigitsDataModule()
        assert data.input_shape == (1, 8, 8)
        assert data.class_names == [str(digit) for digit in range(10)]

    def test_splits_are_stratified_disjoint_and_complete(self) -> None:
        data = DigitsDataModule()
        data.setup("test")
        parts = [
            _all(data.train_dataloader()),
            _all(data.val_dataloader()),
            _all(data.test_dataloader()),
        ]
        assert [len(labels) for _, labels in parts] == [1079, 359, 359]
        for images, labels in parts:
            assert images.dtype == torch.float32
            assert images.shape[1:] == (1, 8, 8)
            assert labels.dtype == torch.int64
            counts = torch.bincount(labels, minlength=10) / len(labels)
            assert (counts - 0.1).abs().max() < 0.01

        pixels = torch.cat([images for images, _ in parts]) * data.std[0] + data.mean[0]
        found = (pixels * 16).round().flatten(1).int().tolist()
        expected = load_digits().data.astype(int).tolist()
        assert sorted(found) == sorted(expected)

    @pytest.mark.parametrize("kwargs", [{}, {"seed": 7}, {"batch_size": 10}])
    def test_splits_do_not_depend_on_arguments(self, kwargs: dict[str, int]) -> None:
        first, second = DigitsDataModule(), DigitsDataModule(**kwargs)
        first.setup("test")
        second.setup("test")
        for name in ("val_dataloader", "test_dataloader"):
            for a, b in zip(
                _all(getattr(first, name)()), _all(getattr(second, name)()), strict=True
            ):
                assert torch.equal(a, b)
        a, _ = _all(first.train_dataloader())
        b, _ = _all(second.train_dataloader())
        assert sorted(a.flatten(1).tolist()) == sorted(b.flatten(1).tolist())

    def test_split_is_this_one(self) -> None:
        # A change of the split would make earlier results incomparable.
        data = DigitsDataModule()
        _, labels = _all(data.val_dataloader())
        assert labels[:10].tolist() == [6, 7, 0, 3, 4, 7, 0, 1, 2, 0]
        assert data.mean == pytest.approx([0.3044], abs=1e-4)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"batch_size": 0}, "argument `batch_size` to be at least 1 but got 0"),
        ({"eval_batch_size": -1}, "argument `eval_batch_size` to be at least 1 but got -1"),
        ({"seed": -2}, "argument `seed` to be at least 0 but got -2"),
        ({"crop_padding": -1}, "argument `crop_padding` to be at least 0 but got -1"),
        ({"train_fraction": 0}, r"argument `train_fraction` to be in \(0, 1\] but got 0"),
        ({"train_fraction": 1.5}, r"argument `train_fraction` to be in \(0, 1\] but got 1.5"),
    ],
)
def test_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DigitsDataModule(**kwargs)
