"""Fashion-MNIST: small made-up IDX files, damaged ones, and the real ones where they are."""

from __future__ import annotations

from collections.abc import Callable
import gzip
from pathlib import Path
import struct

import numpy as np
import numpy.typing as npt
import pytest
import torch

from lightning_modules.data import DataError
from lightning_modules.data import FashionMNISTDataModule
from lightning_modules.data import make_datamodule


REAL_FOLDER = Path("/usr/share/datasets/fashion-mnist")
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"


def _idx(magic: int, array: npt.NDArray[np.uint8]) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def _write(folder: Path, prefix: str, n: int, seed: int) -> npt.NDArray[np.uint8]:
    images = np.random.default_rng(seed).integers(0, 256, (n, 5, 4), dtype=np.uint8)
    labels = (np.arange(n) % 10).astype(np.uint8)
    for name, content in (
        (f"{prefix}-images-idx3-ubyte.gz", _idx(2051, images)),
        (f"{prefix}-labels-idx1-ubyte.gz", _idx(2049, labels)),
    ):
        (folder / name).write_bytes(gzip.compress(content, compresslevel=1))
    return images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _write(tmp_path, "train", 120, seed=0)
    _write(tmp_path, "t10k", 30, seed=1)
    return tmp_path


def test_splits(folder: Path) -> None:
    data = FashionMNISTDataModule(folder, batch_size=100)
    assert data.input_shape == (1, 5, 4)
    assert len(data.class_names) == 10
    assert data.class_names[9] == "Ankle boot"
    assert data.hparams["folder"] == str(folder)
    data.setup("test")
    (train, labels), (validation, validation_labels), (test, test_labels) = (
        next(iter(loader))
        for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    )
    assert torch.bincount(labels).tolist() == [10] * 10
    assert torch.bincount(validation_labels).tolist() == [2] * 10
    raw = np.random.default_rng(0).integers(0, 256, (120, 5, 4), dtype=np.uint8)
    together = torch.cat([train, validation]) * data.std[0] + data.mean[0]
    found = (together * 255).round().int().flatten(1).tolist()
    assert sorted(found) == sorted(raw.reshape(120, -1).tolist())
    raw = np.random.default_rng(1).integers(0, 256, (30, 5, 4), dtype=np.uint8)
    expected = (torch.from_numpy(raw).float() / 255 - data.mean[0]) / data.std[0]
    torch.testing.assert_close(test[:, 0], expected)
    assert test_labels.tolist() == [*range(10)] * 3


def test_search_does_without_the_test_files(folder: Path) -> None:
    for file in folder.glob("t10k*"):
        file.unlink()
    data = FashionMNISTDataModule(folder)
    data.setup("fit")
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte.gz .* got no such file"):
        data.setup("test")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _flip_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (TRAIN_IMAGES, Path.unlink, "complete gzip file but got no such file"),
        (TRAIN_IMAGES, _truncate, r"complete gzip file but got an error \(EOFError"),
        (TRAIN_IMAGES, _flip_bytes, r"complete gzip file but got an error \("),
        (
            TRAIN_LABELS,
            lambda path: path.write_bytes(b"<html>not found</html>"),
            r"complete gzip file but got an error \(BadGzipFile",
        ),
        (TRAIN_LABELS, lambda path: path.write_bytes(b""), "8 bytes of IDX header but got 0"),
        (
            TRAIN_IMAGES,
            lambda path: _rewrite(path, lambda _: _idx(2049, np.zeros(9, np.uint8))),
            "IDX file of images with the magic number 2051 but got 2049",
        ),
        (
            TRAIN_IMAGES,
            lambda path: _rewrite(path, lambda content: content[:-3]),
            "hold 2400 bytes of images, as its header says, but got 2397",
        ),
        (
            TRAIN_LABELS,
            lambda path: _rewrite(path, lambda content: content + b"\0"),
            "hold 120 bytes of labels, as its header says, but got 121",
        ),
        (
            TRAIN_LABELS,
            lambda path: _rewrite(path, lambda _: _idx(2049, np.zeros(7, np.uint8))),
            r"as many labels as .*train-images.* \(120\) but got 7",
        ),
        (
            TRAIN_LABELS,
            lambda path: _rewrite(path, lambda _: _idx(2049, np.full(120, 26, np.uint8))),
            "labels from 0 to 9 but got 26",
        ),
    ],
)
def test_damage(folder: Path, name: str, damage: Callable[[Path], object], message: str) -> None:
    damage(folder / name)
    with pytest.raises(DataError, match=message) as caught:
        FashionMNISTDataModule(folder).setup("fit")
    assert str(folder / name) in str(caught.value)
    assert "apt-get install dataset-fashion-mnist" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_by_name(folder: Path) -> None:
    data = make_datamodule("fashion-mnist", folder=folder, batch_size=3)
    assert isinstance(data, FashionMNISTDataModule)
    assert data.input_shape == (1, 5, 4)


@pytest.mark.skipif(not REAL_FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_real_files() -> None:
    data = FashionMNISTDataModule(train_fraction=0.1)
    assert data.input_shape == (1, 28, 28)
    assert data.mean == pytest.approx([0.286], abs=0.001)
    assert data.std == pytest.approx([0.353], abs=0.001)
    assert data.describe()["n_train"] == 5_000
    validation = torch.cat([labels for _, labels in data.val_dataloader()])
    assert torch.bincount(validation).tolist() == [1_000] * 10
    data.setup("test")
    test = torch.cat([labels for _, labels in data.test_dataloader()])
    assert torch.bincount(test).tolist() == [1_000] * 10
    assert test[:5].tolist() == [9, 2, 1, 1, 6]
