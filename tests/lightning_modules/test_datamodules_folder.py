"""A user's own image files in folders, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
import pytest
import torch
from torch import Tensor

from lightning_modules.datamodules import ArrayDataModule
from lightning_modules.datamodules import DataError
from lightning_modules.datamodules import make_datamodule


N = 20


def _pixels(*shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _save(path: Path, **arrays: Any) -> Path:
    np.savez(path / "data.npz", **arrays)
    return path / "data.npz"


def _everything(data: ArrayDataModule) -> list[tuple[Tensor, Tensor]]:
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
        data = ArrayDataModule(folder)
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
        assert ArrayDataModule(folder).input_shape == (3, 4, 5)

    def test_sizes(self, folder: Path) -> None:
        _draw(folder / "dog" / "3.JPG", size=(9, 7), mode="L")
        with pytest.raises(DataError, match="`image_size` .* 2 different sizes from 4x5 to 7x9"):
            ArrayDataModule(folder).setup("fit")
        data = ArrayDataModule(folder, image_size=6)
        assert data.input_shape == (1, 6, 6)
        assert data.hparams["image_size"] == 6

    @pytest.mark.parametrize("with_validation", [False, True])
    def test_official_splits(self, tmp_path: Path, with_validation: bool) -> None:
        for split, n in (("train", 5), ("test", 2), ("val", 3))[: 2 + with_validation]:
            for label in ("a", "b"):
                for i in range(n):
                    _draw(tmp_path / split / label / f"{i}.bmp", seed=i)
        data = ArrayDataModule(tmp_path)
        sizes = [10, 6, 4] if with_validation else [8, 2, 4]
        assert data.class_names == ["a", "b"]
        assert [len(labels) for _, labels in _everything(data)] == sizes

    def test_a_class_may_be_called_train(self, tmp_path: Path) -> None:
        for label in ("car", "train"):
            for i in range(3):
                _draw(tmp_path / label / f"{i}.png", seed=i)
        assert ArrayDataModule(tmp_path).class_names == ["car", "train"]

    def test_search_reads_no_test_pixels(self, tmp_path: Path) -> None:
        for split in ("train", "test"):
            for label in ("a", "b"):
                for i in range(3):
                    _draw(tmp_path / split / label / f"{i}.png", size=(40, 40), seed=i)
        broken = tmp_path / "test" / "b" / "1.png"
        broken.write_bytes(broken.read_bytes()[:2000])
        data = ArrayDataModule(tmp_path)
        data.setup("fit")
        with pytest.raises(DataError, match="1.png to be a readable image but got"):
            data.setup("test")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda folder: (folder / "dog" / "4.png").write_bytes(b"nonsense"),
                "4.png to be a readable image but got UnidentifiedImageError",
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
            ArrayDataModule(folder).setup("fit")

    def test_errors_of_official_splits(self, tmp_path: Path) -> None:
        _draw(tmp_path / "train" / "0.png")
        _draw(tmp_path / "val" / "0.png")
        with pytest.raises(DataError, match=r"perhaps val but got \['train', 'val'\]"):
            ArrayDataModule(tmp_path).setup("fit")
        _draw(tmp_path / "test" / "0.png")
        with pytest.raises(DataError, match=r"train to have a sub-folder .* but got \[\]"):
            ArrayDataModule(tmp_path).setup("fit")
        for label in ("a", "b"):
            _draw(tmp_path / "train" / label / "0.png")
        with pytest.raises(DataError, match="test to have sub-folders of images but got none"):
            ArrayDataModule(tmp_path).setup("fit")
        _draw(tmp_path / "test" / "c" / "0.png")
        with pytest.raises(DataError, match=r"classes in train, \['a', 'b'\], but got 'c'"):
            ArrayDataModule(tmp_path).setup("fit")


class TestPath:
    def test_missing_and_other_files(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="`path` to be an .npz .*gone.npz, no such file"):
            ArrayDataModule(tmp_path / "gone.npz")
        (tmp_path / "data.csv").write_text("1,2")
        with pytest.raises(DataError, match="data.csv, another kind of file"):
            ArrayDataModule(tmp_path / "data.csv")

    def test_image_size(self, tmp_path: Path) -> None:
        path = _save(tmp_path, X=_pixels(N, 4, 5), y=np.arange(N) % 2)
        with pytest.raises(ValueError, match="`image_size` to be None, as .* but got 8"):
            ArrayDataModule(path, image_size=8)
        with pytest.raises(ValueError, match="`image_size` to be at least 1 but got 0"):
            ArrayDataModule(tmp_path, image_size=0)

    def test_by_name(self, folder: Path, tmp_path: Path) -> None:
        path = _save(tmp_path, X=_pixels(N, 4, 5), y=np.arange(N) % 2)
        assert make_datamodule(str(path)).hparams["path"] == str(path)
        data = make_datamodule(str(folder), image_size=3)
        assert data.input_shape == (1, 3, 3)
