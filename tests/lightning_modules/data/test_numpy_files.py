"""Arrays of files as tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_modules.data import DataError
from lightning_modules.data import read_tensor


@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "uint8", "bool"])
def test_keeps_the_type(tmp_path: Path, kind: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(kind)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", X=array, y=np.zeros(2))
    for name in ("a.npy", "a.npz"):
        tensor = read_tensor(str(tmp_path / name))
        assert tensor.dtype == getattr(torch, kind)
        assert tensor.tolist() == array.tolist()


@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64", ">f4", ">i2", "longdouble"])
def test_types_that_tensors_lack(tmp_path: Path, kind: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(kind)
    np.save(tmp_path / "a.npy", array)
    tensor = read_tensor(str(tmp_path / "a.npy"))
    assert tensor.tolist() == array.tolist()
    assert (tensor + 1).sum() == 21


def test_one_number_and_a_turned_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.float32(3))
    assert read_tensor(str(tmp_path / "a.npy")).tolist() == 3
    np.save(tmp_path / "b.npy", np.arange(6).reshape(2, 3).T)
    assert read_tensor(str(tmp_path / "b.npy")).tolist() == [[0, 3], [1, 4], [2, 5]]


def test_errors(tmp_path: Path) -> None:
    np.save(tmp_path / "text.npy", np.array(["a"]))
    with pytest.raises(DataError, match="text.npy to be an array of numbers but got <U1"):
        read_tensor(str(tmp_path / "text.npy"))
    np.save(tmp_path / "complex.npy", np.array([1j]))
    with pytest.raises(DataError, match="complex.npy to be an array of numbers but got complex"):
        read_tensor(str(tmp_path / "complex.npy"))
    np.savez(tmp_path / "other.npz", Z=np.zeros(3))
    with pytest.raises(DataError, match=r"other.npz to have the arrays \['X'\] but got \['Z'\]"):
        read_tensor(str(tmp_path / "other.npz"))
    with pytest.raises(DataError, match="none.npy to be a readable .npy file but got File"):
        read_tensor(str(tmp_path / "none.npy"))
    (tmp_path / "damaged.npy").write_bytes((tmp_path / "text.npy").read_bytes()[:90])
    with pytest.raises(DataError, match="damaged.npy to be a readable .npy file but got"):
        read_tensor(str(tmp_path / "damaged.npy"))
