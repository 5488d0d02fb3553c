"""Arrays in files that may be damaged or of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.data import DataError
from lightning_modules.data import read_tensor
from lightning_modules.data._numpy_files import open_npz
from lightning_modules.data._numpy_files import read_array
from lightning_modules.data._numpy_files import read_shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.bool_])
@pytest.mark.parametrize("suffix", ["npy", "npz", "NPZ"])
def test_tensors_keep_their_type_and_shape(tmp_path: Path, dtype: Any, suffix: str) -> None:
    array = (np.arange(12).reshape(3, 4).T % 3).astype(dtype)  # Not contiguous.
    path = tmp_path / f"a.{suffix}"
    with path.open("wb") as file:
        if suffix == "npy":
            np.save(file, array)
        else:
            np.savez(file, X=array, y=np.zeros(2))
    found = read_tensor(str(path))
    assert found.dtype == torch.from_numpy(array.copy()).dtype
    assert found.is_contiguous()
    assert np.array_equal(found.numpy(), array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array(["a"]), "to be an array of numbers but got <U1"),
        (np.zeros(2, complex), "to be an array of numbers but got complex128"),
        (np.array([None], object), "to be a readable .npy file but got ValueError"),
    ],
)
def test_what_is_no_tensor(tmp_path: Path, array: Any, message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=message):
        read_tensor(str(tmp_path / "a.npy"))


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with pytest.raises(DataError, match="a.npy to be a readable .npy file but got FileNotFound"):
        read_tensor(str(path))
    path.write_bytes(b"text")
    with pytest.raises(DataError, match="a.npy to be a readable .npy file but got"):
        read_tensor(str(path))
    with path.open("wb") as file:
        np.savez(file, X=np.zeros(3))
    with pytest.raises(DataError, match="to be an .npy file but got an archive of arrays"):
        read_tensor(str(path))
    np.savez(tmp_path / "b.npz", Y=np.zeros(3))
    with pytest.raises(DataError, match=r"to have the arrays \['X'\] but got \['Y'\]"):
        read_tensor(str(tmp_path / "b.npz"))


def test_shapes_are_read_without_the_data(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, X=np.zeros((2, 3)), scalar=np.zeros(()), names=np.array(["a", "b"]))
    with open_npz(path) as archive:
        for name in archive.files:
            assert read_shape(archive, path, name) == read_array(archive, path, name).shape
        with pytest.raises(DataError, match=r"to have the arrays \['Z'\] but got"):
            read_shape(archive, path, "Z")
