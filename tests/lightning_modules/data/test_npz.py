"""A user's own arrays in an .npz file, and what can be wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from lightning_modules.data import DataError
from lightning_modules.data import NpzDataModule


N = 20


def _pixels(*shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _save(path: Path, **arrays: Any) -> Path:
    np.savez(path / "data.npz", **arrays)
    return path / "data.npz"


def _everything(data: NpzDataModule) -> list[tuple[Tensor, Tensor]]:
    """Return the three splits with their values before normalisation."""
    data.setup("test")
    mean, std = (torch.tensor(value)[:, None, None] for value in (data.mean, data.std))
    splits = []
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        images, labels = zip(*loader, strict=True)
        splits.append((torch.cat(images) * std + mean, torch.cat(labels)))
    return splits


class TestNpz:
    @pytest.mark.parametrize(
        ("shape", "input_shape", "order"),
        [
            ((N, 6, 5), (1, 6, 5), None),
            ((N, 6, 5, 1), (1, 6, 5), (0, 3, 1, 2)),
            ((N, 6, 5, 3), (3, 6, 5), (0, 3, 1, 2)),
            ((N, 3, 6, 5), (3, 6, 5), None),
            ((N, 4, 6, 6), (4, 6, 6), None),
        ],
    )
    def test_layouts(
        self,
        tmp_path: Path,
        shape: tuple[int, ...],
        input_shape: tuple[int, int, int],
        order: tuple[int, ...] | None,
    ) -> None:
        raw = _pixels(*shape)
        data = NpzDataModule(_save(tmp_path, X=raw, y=np.arange(N) % 2))
        assert data.input_shape == input_shape
        splits = _everything(data)
        assert [len(labels) for _, labels in splits] == [12, 4, 4]
        found = torch.cat([images for images, _ in splits]) * 255
        expected = (raw if order is None else raw.transpose(order)).reshape(N, -1)
        assert sorted(found.round().int().flatten(1).tolist()) == sorted(expected.tolist())

    @pytest.mark.parametrize("dtype", [np.int16, np.float64, np.float16, np.bool_])
    def test_other_numbers_keep_their_scale(self, tmp_path: Path, dtype: type) -> None:
        raw = (_pixels(N, 4, 5) % 7).astype(dtype)
        data = NpzDataModule(_save(tmp_path, X=raw, y=np.arange(N) % 2))
        found = torch.cat([images for images, _ in _everything(data)]).flatten(1)
        expected = torch.from_numpy(raw.astype(np.float32)).flatten(1)
        assert sorted(found.round().tolist()) == sorted(expected.tolist())

    @pytest.mark.parametrize(
        ("labels", "names"),
        [
            (np.array([10, 9]), ["9", "10"]),
            (np.array(["b", "a"]), ["a", "b"]),
            (np.array([b"b", b"a"]), ["a", "b"]),
            (np.array([True, False]), ["False", "True"]),
        ],
    )
    def test_class_names(self, tmp_path: Path, labels: npt.NDArray[Any], names: list[str]) -> None:
        raw = np.zeros((N, 4, 5), np.uint8)
        raw[::2] = 255  # The images of the first label, the second class.
        data = NpzDataModule(_save(tmp_path, X=raw, y=np.tile(labels, N // 2)))
        assert data.class_names == names
        for images, indices in _everything(data):
            assert images[:, 0, 0, 0].round().int().tolist() == indices.tolist()
        assert json.loads(json.dumps(data.describe())) == data.describe()

    def test_official_splits(self, tmp_path: Path) -> None:
        raw, labels = _pixels(N, 4, 5), np.arange(N) % 2
        test = {"X_test": raw[:3], "y_test": labels[:3]}
        data = NpzDataModule(_save(tmp_path, X=raw, y=labels, **test))
        assert [len(split[1]) for split in _everything(data)] == [16, 4, 3]
        val = {"X_val": raw[:5], "y_val": labels[:5]}
        data = NpzDataModule(_save(tmp_path, X=raw, y=labels, **test, **val))
        splits = _everything(data)
        assert [len(split[1]) for split in splits] == [20, 5, 3]
        assert (splits[1][0] * 255).round().int().flatten(1).tolist() == raw[:5].reshape(
            5, -1
        ).tolist()

    def test_search_reads_no_test_images(self, tmp_path: Path) -> None:
        raw, labels = _pixels(N, 4, 5).astype(np.float32), np.arange(N) % 2
        bad = np.full_like(raw, np.nan)
        data = NpzDataModule(_save(tmp_path, X=raw, y=labels, X_test=bad, y_test=labels))
        data.setup("fit")
        with pytest.raises(DataError, match="array `X_test` of .* finite but got NaN"):
            data.setup("test")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"X": None}, r"to have the arrays \['X', 'y'\] but got \['y'\]"),
            ({"y": None, "labels": np.arange(N)}, r"\['X', 'y'\] but got \['X', 'labels'\]"),
            ({"X_test": _pixels(2, 4, 5)}, r"\['X', 'y', 'X_test', 'y_test'\] but got"),
            (
                {"X_val": _pixels(2, 4, 5), "y_val": np.arange(2)},
                r"'X_val', 'y_val', 'X_test', 'y_test'\] but got",
            ),
            ({"y": np.arange(N - 1)}, r"`y` of .* shape \(20,\), one label .* shape \(19,\)"),
            ({"y": np.zeros((N, 1), int)}, r"got shape \(20, 1\)"),
            ({"y": np.zeros(N, complex)}, "integers, strings or floats but got complex128"),
            ({"y": np.zeros(N)}, r"at least 2 classes or values but got \[0.0\]"),
            ({"y": np.zeros(N, int)}, r"at least 2 classes or values but got \[0\]"),
            ({"y": np.arange(N) // 18}, "at least 3 samples .* but got 2 of class '1'"),
            ({"y": np.array(["a", None] * 10, object)}, "not pickled objects, but got ValueError"),
            ({"X": np.array([None] * N, object)}, "not pickled objects, but got ValueError"),
            ({"X": np.full((N, 4, 5), np.inf)}, "`X` of .* to be finite but got NaN or infinity"),
            ({"X": np.full((N, 4, 5), 1e300)}, "to be finite but got NaN or infinity"),
            ({"X": np.zeros((N, 4, 5), complex)}, "integers or floats but got complex128"),
            ({"X": np.zeros((N, 20))}, r"images of shape \(n, h, w\), .* got shape \(20, 20\)"),
            ({"X": np.zeros((N, 2, 6, 6))}, r"c = 1, 3 or 4 but got shape \(20, 2, 6, 6\)"),
            ({"X": np.zeros((N, 3, 6, 3))}, r"shape \(20, 3, 6, 3\), where it could be either"),
            (
                {"X_test": _pixels(2, 4, 6), "y_test": np.arange(2)},
                r"`X_test` of .* shape \(1, 4, 5\) .* as `X` has, but got \(1, 4, 6\)",
            ),
            (
                {"X_test": _pixels(2, 4, 5), "y_test": np.arange(2) + 1},
                r"`y_test` of .* only the classes of `y`, \[0, 1\], but got 2",
            ),
        ],
    )
    def test_errors(self, tmp_path: Path, change: dict[str, Any], message: str) -> None:
        arrays = {"X": _pixels(N, 4, 5), "y": np.arange(N) % 2} | change
        path = _save(tmp_path, **{k: v for k, v in arrays.items() if v is not None})
        with pytest.raises(DataError, match=message) as caught:
            NpzDataModule(path).setup("fit")
        assert "\n" not in str(caught.value)

    def test_damaged_file(self, tmp_path: Path) -> None:
        path = _save(tmp_path, X=_pixels(N, 4, 5), y=np.arange(N) % 2)
        whole = path.read_bytes()
        path.write_bytes(whole[:-100])
        with pytest.raises(DataError, match="data.npz to be a readable .npz file but got"):
            NpzDataModule(path).setup("fit")
        at = whole.index(_pixels(N, 4, 5).tobytes()[:20])
        path.write_bytes(whole[:at] + b"\0\0\0" + whole[at + 3 :])
        with pytest.raises(DataError, match="`X` of .* but got BadZipFile: Bad CRC-32"):
            NpzDataModule(path).setup("fit")
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
        with pytest.raises(DataError, match="to be an .npz file but got a single array"):
            NpzDataModule(path).setup("fit")


class TestPath:
    def test_missing_and_other_files(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="`path` to be an .npz .*gone.npz, no such file"):
            NpzDataModule(tmp_path / "gone.npz")
        (tmp_path / "data.csv").write_text("1,2")
        with pytest.raises(DataError, match="data.csv, another kind of file"):
            NpzDataModule(tmp_path / "data.csv")


class TestValues:
    """Targets of type float are values to predict."""

    @pytest.mark.parametrize("shape", [(N,), (N, 1), (N, 3)])
    def test_splits(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        values = np.random.default_rng(0).normal(size=shape)
        raw = np.arange(N)[:, None, None] * np.ones((N, 4, 5))
        data = NpzDataModule(_save(tmp_path, X=raw, y=values))
        assert data.class_names == []
        splits = _everything(data)
        assert [len(targets) for _, targets in splits] == [12, 4, 4]
        numbers = torch.cat([images[:, 0, 0, 0] for images, _ in splits]).round().long()
        targets = torch.cat([targets for _, targets in splits])
        assert sorted(numbers.tolist()) == list(range(N))
        assert targets.dtype == torch.float32
        assert torch.equal(targets, torch.from_numpy(values).float()[numbers])
        assert json.loads(json.dumps(data.describe())) == data.describe()
        assert len(NpzDataModule(data.path, train_fraction=0.5).train_dataloader().dataset) == 6

    def test_official_splits(self, tmp_path: Path) -> None:
        raw, values = _pixels(N, 4, 5), np.linspace(0, 1, N)
        test = {"X_test": raw[:3], "y_test": values[:3]}
        data = NpzDataModule(_save(tmp_path, X=raw, y=values, **test))
        assert [len(split[1]) for split in _everything(data)] == [16, 4, 3]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"y": np.full(N, np.nan)}, "`y` of .* but got"),
            ({"y": np.append(np.zeros(N - 1), np.inf)}, "`y` of .* to be finite but got NaN or"),
            ({"y": np.zeros((N, 0))}, r"shape \(20,\), one .* but got shape \(20, 0\)"),
            ({"y": np.zeros((N, 2, 2))}, r"shape \(20,\), one .* but got shape \(20, 2, 2\)"),
            ({"y": np.arange(N - 1.0)}, r"shape \(20,\), one .* but got shape \(19,\)"),
            ({"y_test": np.arange(4)}, "`y_test` of .* to be floats, like `y`, but got int64"),
            (
                {"y_test": np.zeros((4, 2))},
                r"`y_test` of .* shape \(4,\), like `y`, but got \(4, 2\)",
            ),
            (
                {"y": np.arange(N) % 2},
                "`y_test` of .* to be classes, like `y`, but got float64",
            ),
        ],
    )
    def test_errors(self, tmp_path: Path, change: dict[str, Any], message: str) -> None:
        arrays = {"X": _pixels(N, 4, 5), "y": np.arange(N) / 2}
        test = {"X_test": _pixels(4, 4, 5), "y_test": np.arange(4.0)}
        with pytest.raises(DataError, match=message):
            NpzDataModule(_save(tmp_path, **(arrays | test | change))).setup("fit")
