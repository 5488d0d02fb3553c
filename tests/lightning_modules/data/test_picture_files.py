"""Pictures in files, and how many of them may be broken."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
import pytest

from lightning_modules.data import DataError
from lightning_modules.data import PictureFiles
from lightning_modules.data._picture_files import report_broken


@pytest.fixture
def files(tmp_path: Path) -> PictureFiles:
    paths = [str(tmp_path / f"{i}.png") for i in range(6)]
    for i, path in enumerate(paths):
        Image.new("L", (4, 3), 40 * i).save(path)
    Path(paths[2]).write_bytes(b"nonsense")
    return PictureFiles(paths, (1, 3, 4))


def test_broken_ones_are_left_out_of_a_batch(files: PictureFiles) -> None:
    with pytest.warns(UserWarning, match="2.png to be a readable image .* It is left out."):
        pictures, kept = files.read_batch([4, 2, 1])
    assert kept == [4, 1]
    assert pictures[:, 0, 0, 0].tolist() == [160, 40]
    with pytest.raises(DataError, match="2.png to be a readable image"):
        files.read_batch([2])
    with pytest.raises(DataError, match="2.png to be a readable image"):
        files.read(2)


def test_all_are_decoded_in_order(files: PictureFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_modules.data._picture_files._CHUNK", 4)
    with pytest.warns(UserWarning, match="1 of 6 pictures are left out. .*2.png"):
        found = [(index, int(pixels[0, 0, 0])) for index, pixels in files.decode("reading")]
    assert found == [(i, 40 * i) for i in (0, 1, 3, 4, 5)]


@pytest.mark.parametrize(
    ("n_broken", "n_files", "fails"),
    [
        (1, 4, False),
        (3, 4, False),
        (4, 20, True),
        (2, 2, True),
        (10, 1000, False),
        (11, 1000, True),
    ],
)
def test_how_many_may_be_broken(n_broken: int, n_files: int, fails: bool) -> None:
    broken = {f"{i}.png": DataError(f"Number {i}.") for i in range(n_broken)}
    message = rf"{n_broken}.* Number 0\."
    if fails:
        with pytest.raises(DataError, match=f"of {n_files} to be broken but got {message}"):
            report_broken(broken, n_files)
    else:
        with pytest.warns(UserWarning, match=f"^{message}"):
            report_broken(broken, n_files)


def test_a_few_names_of_many() -> None:
    broken = {f"{i}.png": DataError("Zero.") for i in range(30)}
    with pytest.raises(DataError, match=r"Zero. Likewise: 1.png, 2.png, 3.png, 4.png, 25 more$"):
        report_broken(broken, 100)
    assert report_broken({}, 100) is None  # type: ignore[func-returns-value]
