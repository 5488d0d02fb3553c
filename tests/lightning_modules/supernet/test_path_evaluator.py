"""What a stage measures of a path: on which samples, and through which hooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset

from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Supernet
from lightning_modules.supernet._path_evaluator import PathEvaluator
from lightning_modules.tasks import Classification
from lightning_modules.tasks import Regression
from lightning_modules.tasks import Task
from optuna_nas import CellSpace


SPACE = CellSpace(n_nodes=3)
PATH = SPACE.sample(np.random.default_rng(0))
N = 3000


class Bytes(pl.LightningDataModule):
    """Whole numbers, sorted by class, that are brought to a scale on the device."""

    def setup(self, stage: str) -> None:
        rng = torch.Generator().manual_seed(0)
        self.labels = torch.arange(N) * 3 // N
        self.images = torch.randint(0, 256, (N, 1, 6, 6), generator=rng, dtype=torch.uint8)
        self.images[:, 0, 0, 0] = 80 * self.labels.to(torch.uint8)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return scaled(batch[0]), batch[1]

    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(self.images, self.labels), batch_size=100)

    val_dataloader = train_dataloader


class Floats(Bytes):
    """The same, brought to the scale before."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch

    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(scaled(self.images), self.labels), batch_size=100)

    val_dataloader = train_dataloader


def scaled(images: Tensor) -> Tensor:
    return images.float() / 64 - 2


def make(task: Task) -> Supernet:
    torch.manual_seed(0)
    return build_supernet(
        SPACE, task, input_shape=(1, 6, 6), channels=4, cells_per_stage=1, stages=1
    )


def evaluator(data: pl.LightningDataModule, task: Task, **arguments: Any) -> PathEvaluator:
    data.setup("fit")
    return PathEvaluator(make(task), data, **{"proxy": "snip", "seed": 0, **arguments})


def test_the_hooks_of_the_data_module_see_what_is_scored() -> None:
    task = Classification(3)
    found, expected = (evaluator(data, task)(PATH).metrics for data in (Bytes(), Floats()))
    assert list(found) == ["val_accuracy", "val_loss", "snip"]
    assert found == pytest.approx(expected)


def test_every_class_has_its_share_in_what_is_scored() -> None:
    shared = evaluator(Bytes(), Classification(3))._shared
    for batches, n in [(shared.train_batches, 500), (shared.val_batches, 2000)]:
        counts = torch.cat([labels for _, labels in batches]).bincount(minlength=3)
        assert int(counts.sum()) == n
        assert int(counts.max()) - int(counts.min()) <= 1


def test_the_seed_draws_the_samples() -> None:
    task = Classification(3)
    first, again, other = (
        evaluator(Bytes(), task, seed=seed, proxy=None)(PATH) for seed in (0, 0, 1)
    )
    assert first == again
    assert first.metrics["val_loss"] != other.metrics["val_loss"]


def test_the_task_says_what_is_measured() -> None:
    class Numbers(Floats):
        def setup(self, stage: str) -> None:
            super().setup(stage)
            self.labels = self.images[:, 0, 0].float()

    task = Regression(6, mean=(100.0,) * 6, std=(50.0,) * 6)
    found = evaluator(Numbers(), task)(PATH).metrics
    assert list(found) == ["val_rmse", "val_loss", "snip"]
    assert all(np.isfinite(list(found.values())))
    assert found["val_rmse"] > 10  # In the targets' own units.
