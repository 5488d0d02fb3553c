"""The digits, the fixed splits, and data modules by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
import torch
from torch import Tensor

from lightning_modules.datamodules import DataError
from lightning_modules.datamodules import DigitsDataModule
from lightning_modules.datamodules import make_datamodule
from lightning_modules.datamodules._splits import stratified_split
from lightning_modules.datamodules._splits import stratified_subset


def _all(loader: Any) -> tuple[Tensor, Tensor]:
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


class TestDigits:
    def test_facts_before_any_fit(self) -> None:
        data = DigitsDataModule()
        assert data.input_shape == (1, 8, 8)
        assert data.num_classes == 10
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


class TestSplits:
    def test_train_fraction(self) -> None:
        labels = np.arange(100) % 3
        small = stratified_subset(labels, 0.1, 3)
        large = stratified_subset(labels, 0.5, 3)
        assert set(small) < set(large)
        assert np.bincount(labels[large]).tolist() == [17, 16, 16]
        data = DigitsDataModule(train_fraction=0.25)
        _, labels = _all(data.train_dataloader())
        assert data.describe()["n_train"] == len(labels) == pytest.approx(1079 / 4, abs=5)
        assert data.describe()["n_validation"] == 359

    def test_class_with_too_few_samples(self) -> None:
        labels = np.array([0] * 9 + [1] * 2)
        with pytest.raises(DataError, match="at least 3 samples .* but got 2 of class 'rare'"):
            stratified_split(labels, (0.6, 0.2, 0.2), ["common", "rare"])
        parts = stratified_split(labels, (0.8, 0.2), ["common", "rare"])
        assert [len(part) for part in parts] == [8, 3]
        assert [int((labels[part] == 1).sum()) for part in parts] == [1, 1]


class TestFactory:
    def test_digits(self) -> None:
        data = make_datamodule("digits", batch_size=7)
        assert isinstance(data, DigitsDataModule)
        assert data.batch_size == 7

    @pytest.mark.parametrize("name", ["mnist", "", "no/such/folder"])
    def test_unknown(self, name: str) -> None:
        message = (
            f'argument `data` to be "digits", "fashion-mnist", or the path .* but got {name!r}'
        )
        with pytest.raises(ValueError, match=message):
            make_datamodule(name)
