"""A seeded, stratified part of a split, through the hooks of a validation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import random
from typing import Any

import numpy as np
from PIL import Image
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import BatchSampler
from torch.utils.data import DataLoader
from torch.utils.data import Dataset
from torch.utils.data import IterableDataset
from torch.utils.data import SequentialSampler
from torch.utils.data import Subset
from torch.utils.data import SubsetRandomSampler
from torch.utils.data import TensorDataset
from torch.utils.data import WeightedRandomSampler

from lightning_modules.data import DigitsDataModule
from lightning_modules.data import draw_batches
from lightning_modules.data import FolderDataModule
from lightning_modules.supernet import SupernetDataModule


N = 100
LABELS = torch.arange(N) // 50  # Sorted by class, as folders are.
NUMBERED = TensorDataset(torch.arange(float(N))[:, None], LABELS)


class Own(pl.LightningDataModule):
    """A user's data module around a loader; its hooks look at the trainer."""

    def __init__(self, loaders: Any) -> None:
        super().__init__()
        self.loaders = loaders

    def train_dataloader(self) -> Any:
        return self.loaders

    val_dataloader = train_dataloader


class Hooked(Own):
    def __init__(self, loaders: Any) -> None:
        super().__init__(loaders)
        self.calls: list[str] = []

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.calls.append("before")
        return {"x": batch[0], "y": batch[1]}

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        self.calls.append(f"to {device}")
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        assert self.trainer is not None
        assert self.trainer.validating
        assert not self.trainer.training
        self.calls.append("after")
        return batch | {"x": batch["x"] + 1000}


class Words(Dataset[Any]):
    """Neither tensors nor targets that could be told without reading."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> dict[str, Any]:
        noise = (torch.rand(()), random.random(), np.random.rand())  # noqa: NPY002
        return {"x": torch.tensor(float(index)), "noise": torch.tensor(noise)}


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.arange(float(N))[:, None])


def _numbers(batches: list[Any]) -> list[int]:
    firsts = [
        b["x"] if isinstance(b, dict) else b if isinstance(b, Tensor) else b[0] for b in batches
    ]
    return torch.cat([first.flatten() for first in firsts]).int().tolist()


def _drawn(loaders: Any, n: int = 20, seed: int = 0) -> list[int]:
    return _numbers(draw_batches(Own(loaders), "val", n, seed=seed))


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_stratified_part_by_the_seed_alone(split: Any, shuffle: bool) -> None:
    def draw(seed: int) -> list[Any]:
        loader = DataLoader(NUMBERED, batch_size=8, shuffle=shuffle)
        return draw_batches(Own(loader), split, 20, seed=seed)

    torch.manual_seed(0)
    batches = draw(1)
    torch.manual_seed(1)
    assert _numbers(draw(1)) == _numbers(batches)
    assert _numbers(draw(2)) != _numbers(batches)
    assert [len(labels) for _, labels in batches] == [8, 8, 4]
    assert [int(labels.sum()) for _, labels in batches] == [4, 4, 2]  # Each batch has its half.
    numbers = _numbers(batches)
    assert len(set(numbers)) == 20
    assert numbers != sorted(numbers)
    for images, labels in batches:
        assert torch.equal(labels, LABELS[images[:, 0].long()])


def test_classes_of_many_sizes() -> None:
    labels = torch.tensor([0] * 700 + [1] * 250 + [2] * 50)
    loader = DataLoader(TensorDataset(torch.zeros(1000, 1), labels), batch_size=40)
    batches = draw_batches(Own(loader), "val", 200, seed=0)
    counts = torch.stack([torch.bincount(y, minlength=3) for _, y in batches])
    assert counts.sum(dim=0).tolist() == [140, 50, 10]
    assert (counts - torch.tensor([28, 10, 2])).abs().max() <= 1


@pytest.mark.parametrize("n", [N, N + 50])
def test_the_whole_split_in_its_order(n: int) -> None:
    assert _drawn(DataLoader(NUMBERED, batch_size=9, shuffle=True), n) == list(range(N))
    assert _drawn(DataLoader(Words(), batch_size=9, shuffle=True), n) == list(range(N))
    grouped = BatchSampler(SequentialSampler(NUMBERED), 9, drop_last=False)
    assert _drawn(DataLoader(NUMBERED, batch_sampler=grouped), n) == list(range(N))
    assert _drawn(DataLoader(NUMBERED, batch_size=None), n) == list(range(N))
    sampler = SubsetRandomSampler(range(10, 60))
    assert _drawn(DataLoader(NUMBERED, batch_size=9, sampler=sampler), n) == list(range(10, 60))


def test_no_last_batch_of_one_sample() -> None:
    loader = DataLoader(NUMBERED, batch_size=8)
    assert [len(y) for _, y in draw_batches(Own(loader), "val", 17, seed=0)] == [8, 8, 2]
    assert [len(y) for _, y in draw_batches(Own(loader), "val", 1, seed=0)] == [1]


def test_batches_of_a_size_of_ones_own() -> None:
    loader = DataLoader(NUMBERED, batch_size=7)
    (batch,) = draw_batches(Own(loader), "train", 20, seed=0, batch_size=20)
    assert batch[1].bincount().tolist() == [10, 10]
    assert _numbers([batch]) == _drawn(loader)
    pairs = DataLoader(NUMBERED, batch_sampler=[[i, i + 1] for i in range(0, N, 2)])
    batches = draw_batches(Own(pairs), "train", 6, seed=0, batch_size=6)
    assert [len(labels) for _, labels in batches] == [2, 2, 2]
    with pytest.raises(ValueError, match="`batch_size` to be at least 1 but got -1"):
        draw_batches(Own(loader), "train", 20, seed=0, batch_size=-1)


class TestLoaders:
    def test_hooks_of_a_validation(self) -> None:
        data = Hooked(DataLoader(NUMBERED, batch_size=10))
        batches = draw_batches(data, "train", 20, seed=0)
        assert data.calls == ["before", "to cpu", "after"] * 2
        assert all(set(batch) == {"x", "y"} for batch in batches)
        assert min(_numbers(batches)) >= 1000
        assert data.trainer is None

    @pytest.mark.parametrize("num_workers", [0, 1])
    def test_without_targets(self, num_workers: int) -> None:
        loader = DataLoader(Words(), batch_size=6, num_workers=num_workers)
        state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        first, again = (draw_batches(Own(loader), "val", 12, seed=5) for _ in range(2))
        assert torch.equal(torch.get_rng_state(), state)
        assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002
        assert _numbers(first) == _numbers(again) != list(range(12))
        assert torch.equal(first[0]["noise"], again[0]["noise"])
        (other, *_) = draw_batches(Own(loader), "val", 12, seed=6)
        assert not torch.equal(first[0]["noise"], other["noise"])

    def test_own_collate(self) -> None:
        def collate(samples: list[Any]) -> list[Tensor]:
            return [torch.stack([x for x, _ in samples]) + 500]

        loader = DataLoader(NUMBERED, batch_size=6, collate_fn=collate, num_workers=1)
        assert min(_drawn(loader)) >= 500

    def test_first_of_several(self) -> None:
        first = DataLoader(Subset(NUMBERED, range(5)), batch_size=4)
        second = DataLoader(NUMBERED, batch_size=4)
        assert _drawn([first, second]) == list(range(5))
        assert _drawn({"a": first, "b": second}) == list(range(5))

    def test_subset_is_stratified(self) -> None:
        part = Subset(Subset(NUMBERED, range(20, N)), range(0, 80, 2))
        (batch,) = draw_batches(Own(DataLoader(part, batch_size=50)), "val", 8, seed=0)
        assert torch.bincount(batch[1]).tolist() == [3, 5]  # Of 15 and 25.
        assert all(number % 2 == 0 and number >= 20 for number in _numbers([batch]))

    def test_samplers_choose_the_split(self) -> None:
        generator = torch.Generator().manual_seed(3)
        before = generator.get_state()
        sampler = SubsetRandomSampler(range(40, 60), generator=generator)
        loader = DataLoader(NUMBERED, batch_size=4, sampler=sampler)
        (images, labels), *_ = draw_batches(Own(loader), "train", 4, seed=0)
        assert labels.sum() == 2
        assert 40 <= images.min() <= images.max() < 60
        assert torch.equal(generator.get_state(), before)
        weights = [0.0] * 90 + [1.0] * 10
        loader = DataLoader(NUMBERED, batch_size=4, sampler=WeightedRandomSampler(weights, 30))
        assert min(_drawn(loader)) >= 90

    def test_batches_of_a_batch_sampler_stay_together(self) -> None:
        groups: Any = [[0, 1, 2], [10, 11], [20, 21, 22], [30], [40, 41]]
        loader = DataLoader(NUMBERED, batch_sampler=groups)
        batches = draw_batches(Own(loader), "val", 6, seed=1)
        found = [_numbers([batch]) for batch in batches]
        assert all(group in groups for group in found)
        assert 6 <= sum(map(len, found)) <= 8
        assert found == [_numbers([b]) for b in draw_batches(Own(loader), "val", 6, seed=1)]
        assert found != groups[: len(found)]

    def test_streams_give_their_first_batches(self) -> None:
        assert _drawn(DataLoader(Stream(), batch_size=8)) == list(range(24))
        assert _drawn(list(torch.arange(float(N)).split(8))[0:1]) == list(range(8))


class TestOurs:
    def test_not_augmented(self) -> None:
        data = DigitsDataModule(crop_padding=2, horizontal_flip=True, batch_size=32)
        data.setup("fit")
        plain = DigitsDataModule(batch_size=32)
        whole = {tuple(x.flatten().tolist()) for x in plain._search_data().search.train.inputs}
        batches = draw_batches(data, "train", 64, seed=0)
        assert [len(batch[1]) for batch in batches] == [32, 32]
        for batch in batches:
            assert {tuple(x.flatten().tolist()) for x in batch[0]} <= whole
        assert data.trainer is None
        assert data._augmentation_generator is None
        counts = torch.bincount(torch.cat([batch[1] for batch in batches]))
        assert counts.max() - counts.min() <= 1

    def test_pictures_on_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lightning_modules.data.images.IN_MEMORY_BYTES", 0)
        for label in range(2):
            (tmp_path / str(label)).mkdir()
            for i in range(10):
                Image.new("L", (4, 4), 200 * label + i).save(tmp_path / str(label) / f"{i}.png")
        data = FolderDataModule(tmp_path, batch_size=4, num_workers=1)
        (images, labels), _ = draw_batches(data, "train", 8, seed=0)
        assert labels.sum() == 2
        assert torch.equal(images[:, 0, 0, 0] > 0, labels > 0)

    def test_wrapped_for_a_supernet(self) -> None:
        data = SupernetDataModule(DigitsDataModule(batch_size=32))
        data.setup("fit")
        (batch,) = draw_batches(data, "train", 20, seed=0)
        assert len(batch[1]) == 20


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"split": "test"}, "`split` to be .* but got 'test'"),
            ({"n": 0}, "`n` to be at least 1 but got 0"),
            ({"seed": -1}, "`seed` to be at least 0 but got -1"),
            (
                {"datamodule": DigitsDataModule(train_on_validation=True)},
                "`datamodule` to have val data but got none",
            ),
            ({"datamodule": Own(DataLoader(TensorDataset(torch.zeros(0))))}, "but got none"),
        ],
    )
    def test_arguments(self, change: dict[str, Any], message: str) -> None:
        arguments: dict[str, Any] = {
            "datamodule": DigitsDataModule(),
            "split": "val",
            "n": 5,
            "seed": 0,
        }
        with pytest.raises(ValueError, match=message):
            draw_batches(**(arguments | change))


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    data = DigitsDataModule(batch_size=32)
    data.setup("fit")
    for batch in draw_batches(data, "val", 64, seed=0, device="cuda"):
        assert batch[0].device.type == "cuda"
    assert data.val_dataloader().pin_memory  # type: ignore[union-attr]
