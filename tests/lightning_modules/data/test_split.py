"""Splits of tensors and of files, of classes and of values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightning_modules.data import DataError
from lightning_modules.data import PictureFiles
from lightning_modules.data import SearchData
from lightning_modules.data import Split
from lightning_modules.data._split import check_search_data


def _values(n: int = 4, *, dtype: torch.dtype = torch.float32, k: int = 2) -> Split:
    return Split(torch.zeros(n, 1, 3, 3), torch.arange(n * k).view(n, k).to(dtype))


def test_parts_of_tensors() -> None:
    split = Split(torch.arange(8.0).view(8, 1, 1, 1), torch.arange(8))
    part = split.select(torch.tensor([5, 2])).followed_by(split.select(torch.tensor([7])))
    assert isinstance(part.inputs, Tensor)
    assert part.inputs.flatten().tolist() == part.targets.tolist() == [5, 2, 7]
    assert len(part) == 3


def test_parts_of_files_read_nothing() -> None:
    split = Split(PictureFiles([f"{i}.png" for i in range(8)], (3, 4, 5)), torch.arange(8))
    part = split.select(torch.tensor([5, 2])).followed_by(split.select(torch.tensor([7])))
    assert isinstance(part.inputs, PictureFiles)
    assert part.inputs.paths == ["5.png", "2.png", "7.png"]
    assert part.inputs.shape == (3, 3, 4, 5)
    assert part.targets.tolist() == [5, 2, 7]


def test_bytes_and_values_are_good() -> None:
    check_search_data(SearchData(_values(), _values(2)))
    images = torch.zeros(4, 1, 3, 3, dtype=torch.uint8)
    split = Split(images, torch.tensor([0, 1, 1, 0]))
    check_search_data(SearchData(split, split, ["a", "b"]))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (_values(dtype=torch.float64), "targets to be float32 .* but got torch.float64"),
        (_values(k=3), r"float32 of shape \(4, 2\), as those of the .* but got .* \(4, 3\)"),
        (Split(torch.zeros(3, 1, 3, 3), torch.zeros(4, 2)), r"shape \(3, 2\), .* \(4, 2\)"),
        (Split(torch.zeros(2, 1, 3, 3), torch.full((2, 2), torch.nan)), "targets to be finite"),
        (Split(torch.zeros(2, 1, 3, 3), torch.zeros(2).long()), "float32 .* but got torch.int64"),
    ],
)
def test_bad_values(bad: Split, message: str) -> None:
    with pytest.raises(DataError, match=f"Expected the validation .*{message}"):
        check_search_data(SearchData(_values(), bad))
