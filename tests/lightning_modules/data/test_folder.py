"""A user's own image files in folders, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
import json
import logging
from pathlib import Path
import re
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
import pytest
import torch
from torch import Tensor

from lightning_modules.data import DataError
from lightning_modules.data import FolderDataModule


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
        caplog.set_level(logging.INFO, "lightning_modules.data.folder")
        data = FolderDataModule(folder)
        assert data.input_shape == (1, 8, 8)
        assert data.notice is not None
        assert re.match("The 21 pictures have 2 sizes from 4x5 to 7x9 pixels: 8x8 is", data.notice)
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
        with pytest.warns(UserWarning, match="1 of 2 .* 1.png to be a readable image but got"):
            data.setup("test")
        assert len(data.test_dataloader().dataset) == 1  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda folder: [
                    (folder / "dog" / f"{i}.png").write_bytes(b"no") for i in range(4)
                ],
                "3 pictures or 1% of 20 to be broken but got 4. .*0.png to be a readable image but "
                "got UnidentifiedImageError: .* Likewise: .*1.png, .*2.png, .*3.png",
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
