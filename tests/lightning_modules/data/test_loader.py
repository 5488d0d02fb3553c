"""Batches of tensors in memory, of bytes and of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest
import torch
from torch import Tensor
from torch.utils.data import default_collate

from lightning_modules.data import PictureFiles
from lightning_modules.data import Split
from lightning_modules.data import TrainingBatch
from lightning_modules.data._loader import make_loader
from lightning_modules.data._loader import SplitDataset
from lightning_modules.data._normalise import Normaliser


NORMALISER = Normaliser(torch.tensor([0.5]), torch.tensor([0.25]))


@pytest.fixture
def pixels() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (9, 1, 4, 5), generator=generator).to(torch.uint8)


@pytest.fixture
def datasets(pixels: Tensor, tmp_path: Path) -> list[SplitDataset]:
    paths = [str(tmp_path / f"{i}.png") for i in range(9)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(np.asarray(image[0])).save(path)
    inputs = [NORMALISER(pixels), pixels, PictureFiles(paths, (1, 4, 5))]
    return [SplitDataset(Split(x, torch.arange(9)), NORMALISER) for x in inputs]


def test_every_kind_gives_the_same_normalised_batches(
    pixels: Tensor, datasets: list[SplitDataset]
) -> None:
    for dataset in datasets:
        images, targets = dataset.__getitems__([7, 2, 2])
        assert torch.equal(images, (pixels[[7, 2, 2]].float() / 255 - 0.5) / 0.25)
        assert targets.tolist() == [7, 2, 2]
        one_by_one = default_collate([dataset[i] for i in (7, 2, 2)])
        assert torch.equal(one_by_one[0], images)
        assert torch.equal(one_by_one[1], targets)


def test_workers_for_files_alone(datasets: list[SplitDataset]) -> None:
    in_memory, in_bytes, in_files = (make_loader(dataset, 4) for dataset in datasets)
    assert in_memory.num_workers == in_bytes.num_workers == 0
    assert not in_memory.persistent_workers
    assert in_files.num_workers >= 1
    assert in_files.persistent_workers
    assert make_loader(datasets[2], 4, num_workers=0).num_workers == 0


@pytest.mark.parametrize("num_workers", [0, 2])
def test_order_and_type_with_workers(datasets: list[SplitDataset], num_workers: int) -> None:
    dataset = datasets[2]
    dataset.training = True
    expected = [targets.tolist() for _, targets in make_loader(datasets[0], 4, seed=3)]
    batches = list(make_loader(dataset, 4, seed=3, num_workers=num_workers))
    assert all(isinstance(batch, TrainingBatch) for batch in batches)
    assert [targets.tolist() for _, targets in batches] == expected
