"""Fixed splits hold every sample once, and every class in proportion."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lightning_modules.data import DataError
from lightning_modules.data import DigitsDataModule
from lightning_modules.data._partition import fixed_split
from lightning_modules.data._partition import fixed_subset


class TestSplits:
    def test_train_fraction(self) -> None:
        labels = np.arange(100) % 3
        small = fixed_subset(labels, 0.1, 3)
        large = fixed_subset(labels, 0.5, 3)
        assert set(small) < set(large)
        assert np.bincount(labels[large]).tolist() == [17, 16, 16]
        data = DigitsDataModule(train_fraction=0.25)
        labels = torch.cat([batch[1] for batch in data.train_dataloader()])
        assert data.describe()["n_train"] == len(labels) == pytest.approx(1079 / 4, abs=5)
        assert data.describe()["n_validation"] == 359

    def test_class_with_too_few_samples(self) -> None:
        labels = np.array([0] * 9 + [1] * 2)
        with pytest.raises(DataError, match="at least 3 samples .* but got 2 of class 'rare'"):
            fixed_split(labels, (0.6, 0.2, 0.2), ["common", "rare"])
        parts = fixed_split(labels, (0.8, 0.2), ["common", "rare"])
        assert [len(part) for part in parts] == [8, 3]
        assert [int((labels[part] == 1).sum()) for part in parts] == [1, 1]

    @pytest.mark.parametrize("shape", [(50,), (50, 3)])
    def test_values_are_split_at_random(self, shape: tuple[int, ...]) -> None:
        values = np.arange(np.prod(shape)).reshape(shape).astype(np.float32)
        parts = fixed_split(values, (0.6, 0.2, 0.2), [])
        assert [len(part) for part in parts] == [30, 10, 10]
        assert sorted(np.concatenate(parts).tolist()) == list(range(50))
        assert parts[2].tolist() != list(range(40, 50))
        again = fixed_split(values * 2, (0.6, 0.2, 0.2), [])
        assert [part.tolist() for part in again] == [part.tolist() for part in parts]
        small, large = fixed_subset(values, 0.2, 0), fixed_subset(values, 0.5, 0)
        assert (len(small), len(large)) == (10, 25)
        assert set(small) < set(large)

    def test_too_few_values(self) -> None:
        with pytest.raises(DataError, match="at least 3 samples to split the data but got 2\\."):
            fixed_split(np.zeros(2, np.float32), (0.6, 0.2, 0.2), [])
