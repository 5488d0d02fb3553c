"""A user's own image files in folders, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
import json
import logging
import multiprocessing
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_modules.data import DataError
from lightning_modules.data import FolderDataModule
from lightning_modules.data import PictureFiles
from lightning_modules.supernet import SupernetDataModule
from lightning_modules.training.trainer import make_trainer


N = 20


def _pixels(*shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _save(path: Path, **arrays: Any) -> Path:
    np.savez(path / "data.npz", **arrays)
    return path / "data.npz"


def _everything(data: FolderDataModule) -> list[tuple[Tensor, Tensor]]:
    """Return the three splits with their values before normalisation."""
    data.setup("test")
    mean, std = (torch.tensor(value)[:, None, None] for value in (data.mean, data.std))
    splits = []
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        images, labels = zip(*loader, strict=True)
        splits.append((torch.cat(images) * std + mean, torch.cat(labels)))
    return splits


def _inputs(data: FolderDataModule) -> Any:
    dataset: Any = data.train_dataloader().dataset
    return dataset.inputs


def _two_epochs(data: FolderDataModule) -> list[tuple[Tensor, Tensor]]:
    """Return the training batches of two epochs, augmented, then those of validation."""
    loader = data.train_dataloader()
    batches = [data.on_after_batch_transfer(batch, 0) for _ in range(2) for batch in loader]
    return [*batches, *data.val_dataloader()]


def _draw(path: Path, size: tuple[int, int] = (5, 4), mode: str = "RGB", seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    Image.fromarray(_pixels(height, width, *channels, seed=seed)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        for i in range(10):
            _draw(tmp_path / label / f"{i}.png", mode="L", seed=i + 100 * (label == "dog"))
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "cat" / "._0.png").write_text("no image")
    (tmp_path / ".cache").mkdir()
    return tmp_path


class TestFolder:
    def test_classes_and_splits(self, folder: Path) -> None:
        data = FolderDataModule(folder)
        assert data.class_names == ["cat", "dog"]
        assert data.input_shape == (1, 4, 5)
        splits = _everything(data)
        assert [torch.bincount(labels).tolist() for _, labels in splits] == [
            [6, 6],
            [2, 2],
            [2, 2],
        ]
        found = {
            (label, *pixels)
            for images, labels in splits
            for label, pixels in zip(
                labels.tolist(), (images * 255).round().int().flatten(1).tolist(), strict=True
            )
        }
        expected = {
            (label, *_pixels(4, 5, seed=i + 100 * label).ravel().tolist())
            for label in range(2)
            for i in range(10)
        }
        assert found == expected

    def test_one_colour_image_makes_all_colour(self, folder: Path) -> None:
        _draw(folder / "dog" / "3.png", mode="RGBA")
        assert FolderDataModule(folder).input_shape == (3, 4, 5)

    def test_sizes(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        _draw(folder / "dog" / "3.JPG", size=(9, 7), mode="L")
        caplog.set_level(logging.INFO, "lightning_modules.data.images")
        data = FolderDataModule(folder)
        assert data.input_shape == (1, 8, 8)
        assert data.notice is not None
        assert data.notice == (
            "The 21 pictures have 2 sizes from 4x5 to 7x9 pixels: 8x8 is their median. Those of "
            "another aspect ratio get black bars. Argument `image_size` sets another size."
        )
        assert [record.getMessage() for record in caplog.records] == [data.notice]
        data = FolderDataModule(folder, image_size=6)
        assert data.input_shape == (1, 6, 6)
        assert data.hparams["image_size"] == 6
        assert data.notice is None

    def test_one_size_stays(self, folder: Path) -> None:
        data = FolderDataModule(folder)
        assert data.input_shape == (1, 4, 5)
        assert data.notice is None

    @pytest.mark.parametrize("with_validation", [False, True])
    def test_official_splits(self, tmp_path: Path, with_validation: bool) -> None:
        for split, n in (("train", 5), ("test", 2), ("val", 3))[: 2 + with_validation]:
            for label in ("a", "b"):
                for i in range(n):
                    _draw(tmp_path / split / label / f"{i}.bmp", seed=i)
        data = FolderDataModule(tmp_path)
        sizes = [10, 6, 4] if with_validation else [8, 2, 4]
        assert data.class_names == ["a", "b"]
        assert [len(labels) for _, labels in _everything(data)] == sizes

    def test_a_class_may_be_called_train(self, tmp_path: Path) -> None:
        for label in ("car", "train"):
            for i in range(3):
                _draw(tmp_path / label / f"{i}.png", seed=i)
        assert FolderDataModule(tmp_path).class_names == ["car", "train"]

    def test_search_reads_no_test_pixels(self, tmp_path: Path) -> None:
        for split in ("train", "test"):
            for label in ("a", "b"):
                for i in range(3):
                    _draw(tmp_path / split / label / f"{i}.png", size=(40, 40), seed=i)
        broken = tmp_path / "test" / "b" / "1.png"
        broken.write_bytes(broken.read_bytes()[:2000])
        data = FolderDataModule(tmp_path)
        data.setup("fit")
        with pytest.warns(
            UserWarning, match="1 of 6 pictures .*1.png to be a readable image but got"
        ):
            data.setup("test")
        assert len(data.test_dataloader().dataset) == 5  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda folder: [
                    (folder / "dog" / f"{i}.png").write_bytes(b"no") for i in range(4)
                ],
                "3 pictures or 1% of 20 to be broken but got 4. Expected .*dog/.*.png to be a "
                "readable image but got UnidentifiedImageError: .* Likewise: (.*dog.*png){3}",
            ),
            (
                lambda folder: (folder / "bird").mkdir(),
                r"bird to have images \(.bmp, .* .webp\) but got none",
            ),
            (
                lambda folder: (folder / "dog").rename(folder / ".dog"),
                r"at least 2 classes but got \['cat'\]",
            ),
            (
                lambda folder: _draw(folder / "bird" / "0.png"),
                "at least 3 samples of every class .* got 1 of class 'bird'",
            ),
            (
                lambda folder: _draw(folder / "train" / "cat" / "0.png"),
                r"train, test and perhaps val but got \['cat', 'dog', 'train'\]",
            ),
        ],
    )
    def test_errors(self, folder: Path, change: Callable[[Path], object], message: str) -> None:
        change(folder)
        with pytest.raises(DataError, match=message):
            FolderDataModule(folder).setup("fit")

    def test_errors_of_official_splits(self, tmp_path: Path) -> None:
        _draw(tmp_path / "train" / "0.png")
        _draw(tmp_path / "val" / "0.png")
        with pytest.raises(DataError, match=r"perhaps val but got \['train', 'val'\]"):
            FolderDataModule(tmp_path).setup("fit")
        _draw(tmp_path / "test" / "0.png")
        with pytest.raises(DataError, match=r"train to have a sub-folder .* but got \[\]"):
            FolderDataModule(tmp_path).setup("fit")
        for label in ("a", "b"):
            _draw(tmp_path / "train" / label / "0.png")
        with pytest.raises(DataError, match="test to have sub-folders of images but got none"):
            FolderDataModule(tmp_path).setup("fit")
        _draw(tmp_path / "test" / "c" / "0.png")
        with pytest.raises(DataError, match=r"classes in train, \['a', 'b'\], but got 'c'"):
            FolderDataModule(tmp_path).setup("fit")


class TestArguments:
    def test_path(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="`path` to be a folder .*gone, no such folder"):
            FolderDataModule(tmp_path / "gone")
        (tmp_path / "data.csv").write_text("1,2")
        with pytest.raises(DataError, match="data.csv, another kind of file"):
            FolderDataModule(tmp_path / "data.csv")

    @pytest.mark.parametrize("size", [0, (4, 0), (4,), (1, 2, 3)])
    def test_image_size(self, tmp_path: Path, size: Any) -> None:
        with pytest.raises(ValueError, match=r"`image_size` to be a number .*, but got"):
            FolderDataModule(tmp_path, image_size=size)

    def test_resize(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="`resize` to be .* but got 'stretch'"):
            FolderDataModule(tmp_path, resize="stretch")  # type: ignore[arg-type]

    def test_hyperparameters_are_json(self, folder: Path) -> None:
        data = FolderDataModule(folder, image_size=(6, 5), resize="crop", num_workers=0)
        assert json.loads(json.dumps(data.describe())) == data.describe()
        assert FolderDataModule(**data.hparams).hparams == data.hparams
        assert data.input_shape == (1, 6, 5)


def _link_pictures(folder: Path, n: int, size: tuple[int, int]) -> None:
    """Make two classes of together ``n`` pictures, all of a class in the same place on disk."""
    for label in range(2):
        (folder / str(label)).mkdir(parents=True)
        first = folder / str(label) / "0.png"
        Image.new("RGB", size, (200 * label, 30, 90)).save(first)
        for i in range(1, n // 2):
            os.link(first, first.with_name(f"{i}.png"))


class TestBrokenPictures:
    def test_header(self, folder: Path) -> None:
        splits = _everything(FolderDataModule(folder))
        (folder / "dog" / "4.png").write_bytes(b"nonsense")
        data = FolderDataModule(folder)
        with pytest.warns(UserWarning, match="1 of 20 pictures .*4.png to be a readable image"):
            left = _everything(data)
        for (images, _), (fewer, _) in zip(splits, left, strict=True):  # No other moves.
            found = {tuple(image.flatten().tolist()) for image in (images * 255).round()}
            assert {tuple(image.flatten().tolist()) for image in (fewer * 255).round()} <= found
        assert sum(len(labels) for _, labels in left) == 19

    def test_half_a_file_in_memory(self, folder: Path) -> None:
        for i in range(10):
            _draw(folder / "dog" / f"{i}.png", size=(60, 60), mode="L", seed=i)
        broken = folder / "dog" / "4.png"
        broken.write_bytes(broken.read_bytes()[:2000])
        data = FolderDataModule(folder, image_size=8)
        with pytest.warns(UserWarning, match=r"1 of \d+ pictures .*4.png .* truncated"):
            splits = _everything(data)
        assert sum(len(labels) for _, labels in splits) == 19

    @pytest.mark.parametrize("num_workers", [0, 1])
    def test_half_a_file_on_disk(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, num_workers: int
    ) -> None:
        monkeypatch.setattr("lightning_modules.data.images.IN_MEMORY_BYTES", 0)
        for i in range(10):
            _draw(folder / "dog" / f"{i}.png", size=(60, 60), mode="L", seed=i)
        data = FolderDataModule(folder, image_size=8, num_workers=num_workers, batch_size=12)
        loader: Any = data.train_dataloader()  # Of pictures that are whole until now.
        broken = Path(next(path for path in loader.dataset.inputs.paths if "dog" in path))
        broken.write_bytes(broken.read_bytes()[:2000])
        if num_workers:
            (batch,) = loader  # The warning is the worker's.
        else:
            with pytest.warns(UserWarning, match=f"{broken.name} .* truncated.* It is left out"):
                (batch,) = loader
        assert torch.bincount(batch.targets).tolist() == [6, 5]
        assert len(batch.inputs) == 11

    def test_the_only_one_of_a_class(self, tmp_path: Path) -> None:
        for name in ("train", "test"):
            for label in ("a", "b"):
                for i in range(3):
                    _draw(tmp_path / name / label / f"{i}.png", seed=i)
        for path in (tmp_path / "test" / "b").iterdir():
            path.write_bytes(b"nonsense")
        message = "class of .*test/b/0.png to have a readable picture in each split but got none"
        data = FolderDataModule(tmp_path)
        with pytest.warns(UserWarning, match="3 of 12"), pytest.raises(DataError, match=message):
            data.setup("fit")


class Mean(pl.LightningModule):
    """Learns the mean of all pixels, and keeps the numbers of the processes that help."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.workers: set[int | None] = set()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.workers.update(process.pid for process in multiprocessing.active_children())
        return (batch[0].mean() - self.weight).square()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class TestOnDisk:
    """Pictures that are decoded as they are needed."""

    @pytest.fixture(autouse=True)
    def _nothing_in_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lightning_modules.data.images.IN_MEMORY_BYTES", 0)

    @pytest.mark.parametrize("num_workers", [0, 2])
    def test_same_batches_as_in_memory(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, num_workers: int
    ) -> None:
        settings: dict[str, Any] = {
            "batch_size": 5,
            "crop_padding": 1,
            "horizontal_flip": True,
            "seed": 4,
        }
        on_disk = FolderDataModule(folder, num_workers=num_workers, **settings)
        found = _two_epochs(on_disk)
        assert isinstance(_inputs(on_disk), PictureFiles)
        monkeypatch.undo()
        in_memory = FolderDataModule(folder, **settings)
        expected = _two_epochs(in_memory)
        assert isinstance(_inputs(in_memory), Tensor)
        assert on_disk.mean == in_memory.mean
        assert on_disk.std == in_memory.std
        for (images, labels), (others, other_labels) in zip(found, expected, strict=True):
            assert torch.equal(images, others)
            assert torch.equal(labels, other_labels)

    def test_training_and_both_splits_together(self, folder: Path) -> None:
        data = FolderDataModule(folder, batch_size=16, num_workers=1, train_on_validation=True)
        assert [len(targets) for _, targets in data.train_dataloader()] == [16]

    def test_workers_stay_for_a_training_and_end_with_it(self, folder: Path) -> None:
        data, model = FolderDataModule(folder, batch_size=4, num_workers=1), Mean()
        make_trainer(accelerator="cpu", max_epochs=3).fit(model, data)
        assert len(model.workers) == 2  # One for training and one for validation.
        assert multiprocessing.active_children() == []

    def test_halves_of_a_supernet(self, folder: Path) -> None:
        data = SupernetDataModule(FolderDataModule(folder, batch_size=3, num_workers=1))
        data.setup("fit")
        (batch, *_), *_ = list(data.train_dataloader())
        assert set(batch) == {"weights", "architecture"}
        assert all(len(part.targets) == 3 for part in batch.values())


@pytest.mark.slow
def test_memory_does_not_grow_with_the_folder(tmp_path: Path) -> None:
    # In memory 1600 pictures would take 315 MB as bytes, 1.3 GB as numbers.
    _link_pictures(tmp_path, 2000, (256, 256))
    program = """
import resource, sys
from lightning_modules.data import FolderDataModule
from lightning_modules.data import PictureFiles
from lightning_modules.supernet import SupernetDataModule
from lightning_modules.data import PictureFiles
def used(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
data = FolderDataModule(sys.argv[1], image_size=256, batch_size=16, num_workers=1)
before = used()
loader = data.train_dataloader()
assert isinstance(loader.dataset.inputs, PictureFiles)
print(sum(len(targets) for _, targets in loader), used() - before)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    n, growth = out.split()
    assert int(n) == 1200
    assert float(growth) < 200
