"""Data modules by name, path, module or file, their settings, and what reads new data for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
import pytest
import pytorch_lightning as pl
import torch

from lightning_modules.data import check_preprocessing
from lightning_modules.data import DataError
from lightning_modules.data import DigitsDataModule
from lightning_modules.data import FashionMNISTDataModule
from lightning_modules.data import find_data
from lightning_modules.data import FolderDataModule
from lightning_modules.data import load_images
from lightning_modules.data import load_new
from lightning_modules.data import make_datamodule
from lightning_modules.data import NpzDataModule
from lightning_modules.data import settings_of
from lightning_modules.registries import DATA


OWN = """
import pytorch_lightning as pl

from lightning_modules.data import FolderDataModule


class Own(pl.LightningDataModule):
    def __init__(self, rows, *, seed=3):
        super().__init__()
        self.rows, self.seed = rows, seed


class Photos(FolderDataModule):
    def __init__(self, **kwargs):
        super().__init__("photos", **kwargs)


class Anywhere(FolderDataModule):
    pass


made = Own(7)
number = 7
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a file of data modules, an archive and a folder of pictures."""
    monkeypatch.chdir(tmp_path)
    # Each test runs a file of its own.
    (tmp_path / f"{tmp_path.name}.py").write_text(OWN)
    np.savez("data.npz", X=np.zeros((9, 4, 5), np.uint8), y=np.arange(9) % 2)
    for label in ("a", "b"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (5, 4), 20 * i).save(tmp_path / "photos" / label / f"{i}.png")
    return tmp_path


def own(folder: Path, name: str) -> str:
    return f"{folder / folder.name}.py:{name}"


class TestFactory:
    def test_digits(self) -> None:
        data = make_datamodule("digits", batch_size=7)
        assert isinstance(data, DigitsDataModule)
        assert data.batch_size == 7

    @pytest.mark.parametrize("name", ["mnist", "", "no/such/folder"])
    def test_unknown(self, name: str) -> None:
        message = (
            "argument `data` to be digits, fashion-mnist, the path of a folder of pictures or an "
            f".npz file, or MODULE:NAME or FILE.py:NAME but got {name!r}"
        )
        with pytest.raises(ValueError, match=message):
            make_datamodule(name)

    def test_paths(self, folder: Path) -> None:
        assert isinstance(make_datamodule(str(folder / "data.npz")), NpzDataModule)
        data = make_datamodule(str(folder / "photos"), image_size=3)
        assert isinstance(data, FolderDataModule)
        assert data.input_shape == (1, 3, 3)

    @pytest.mark.parametrize("name", ["digits", "fashion-mnist", "data.npz"])
    def test_size_of_images_that_have_their_own(self, name: str, folder: Path) -> None:
        data: Any = make_datamodule(name, image_size=None)
        assert data.batch_size == 96
        message = f"no argument `image_size` for the data {name}, which has no such .* but got 8"
        with pytest.raises(ValueError, match=message):
            make_datamodule(name, image_size=8)

    def test_home(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(folder))
        data: Any = make_datamodule("~/data.npz")
        assert data.path == str(folder / "data.npz")
        assert data.input_shape == (1, 4, 5)

    def test_a_name_comes_before_a_folder_and_a_path_is_a_path(self, folder: Path) -> None:
        (folder / "photos").rename("digits")
        assert find_data("digits") is DigitsDataModule
        assert find_data("./digits") is FolderDataModule
        Path("digits").rename("images")  # The name of a reader, not of data.
        assert find_data("images") is FolderDataModule
        data: Any = make_datamodule("images")
        assert data.path == "images"

    def test_a_path_that_nobody_reads(self, folder: Path) -> None:
        Path("notes.txt").write_text("none")
        with pytest.raises(ValueError, match="`data` to be digits, .* but got 'notes.txt'"):
            make_datamodule("notes.txt")
        with pytest.raises(ValueError, match="`data` to be .* but got 'npz'"):
            find_data("npz")


class TestOwn:
    def test_a_class_of_a_file(self, folder: Path) -> None:
        data: Any = make_datamodule(own(folder, "Own"), rows=5, seed=None)
        assert (data.rows, data.seed) == (5, 3)
        with pytest.raises(ValueError, match=r"argument `rows` for the data .*:Own but got none"):
            make_datamodule(own(folder, "Own"))
        with pytest.raises(ValueError, match="no argument `batch_size` .* but got 4"):
            make_datamodule(own(folder, "Own"), rows=5, batch_size=4)

    def test_one_that_is_made(self, folder: Path) -> None:
        data: Any = make_datamodule(own(folder, "made"))
        assert data.rows == 7
        assert data is make_datamodule(own(folder, "made")) is find_data(own(folder, "made"))
        with pytest.raises(ValueError, match="no argument `rows` for .*:made.* but got 5"):
            make_datamodule(own(folder, "made"), rows=5)

    def test_a_reader_with_a_path_of_its_own(self, folder: Path) -> None:
        data: Any = make_datamodule(own(folder, "Photos"), image_size=2)
        assert data.path == "photos"
        assert data.input_shape == (1, 2, 2)
        with pytest.raises(ValueError, match="argument `path` for the data .*Anywhere but got no"):
            make_datamodule(own(folder, "Anywhere"))
        data = make_datamodule(own(folder, "Anywhere"), path="photos")
        assert data.input_shape == (1, 4, 5)

    def test_a_class_of_a_module(self) -> None:
        assert find_data("lightning_modules.data:DigitsDataModule") is DigitsDataModule

    def test_no_data_module(self, folder: Path) -> None:
        with pytest.raises(ValueError, match="`data` .* to name a LightningDataModule but got 7"):
            make_datamodule(own(folder, "number"))
        with pytest.raises(ValueError, match=r"`data` .*failed: AttributeError: .*'Nothing'"):
            find_data(own(folder, "Nothing"))
        with pytest.raises(ValueError, match="`data` no.py:Own .* there is no file no.py"):
            find_data("no.py:Own")

    def test_a_reader_of_somebody_elses_comes_first(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Pairs(FolderDataModule):
            @staticmethod
            def reads(path: Path) -> bool:
                return (path / "masks").is_dir()

        monkeypatch.setattr(DATA, "_added", {"pairs": Pairs})
        assert find_data("photos") is FolderDataModule
        Path("photos/masks").mkdir()
        assert find_data("photos") is Pairs


class TestSettings:
    def test_of_a_class_and_its_ancestors(self) -> None:
        common = {
            *["batch_size", "eval_batch_size", "seed", "train_fraction", "train_on_validation"],
            *["num_workers", "crop_padding", "horizontal_flip"],
        }
        assert set(settings_of(DigitsDataModule)) == common
        assert set(settings_of(FashionMNISTDataModule)) == {*common, "folder"}
        assert set(settings_of(FolderDataModule)) == {*common, "path", "image_size", "resize"}
        assert settings_of(FolderDataModule)["batch_size"].default == 96

    def test_without_passing_on(self) -> None:
        class Own(DigitsDataModule):
            def __init__(self, size: int, *, batch_size: int = 5) -> None:
                super().__init__(batch_size=batch_size)

        assert list(settings_of(Own)) == ["size", "batch_size"]
        assert settings_of(Own)["batch_size"].default == 5

    def test_of_an_empty_class(self) -> None:
        class Own(pl.LightningDataModule):
            pass

        assert settings_of(Own) == {}


class TestNewData:
    def test_as_the_training_images_were(self, folder: Path) -> None:
        data: Any = make_datamodule("photos")
        files = ["photos/a/1.png", "photos/b/2.png"]
        loaded = dict(load_new(files, data.preprocessing))
        assert list(loaded) == files
        for file, images in loaded.items():
            assert images.shape == (1, 1, 4, 5)
            assert torch.equal(images, load_images([file], data.preprocessing))
        np.save("many.npy", np.zeros((3, 4, 5)))
        [(_, many)] = load_new(["many.npy"], data.preprocessing)
        assert many.shape == (3, 1, 4, 5)

    def test_a_file_that_cannot_be_read(self, folder: Path) -> None:
        data: Any = make_datamodule("photos")
        files = load_new(["photos/a/1.png", "photos/none.png"], data.preprocessing)
        assert next(files)[0] == "photos/a/1.png"
        with pytest.raises(DataError, match="none.png to be an image file but got no such file"):
            next(files)

    def test_what_a_data_module_says_is_right(self) -> None:
        check_preprocessing(DigitsDataModule().preprocessing)

    @pytest.mark.parametrize("kind", [None, "sounds", "", ["images"], 3])
    def test_unknown_kinds(self, kind: Any) -> None:
        preprocessing = DigitsDataModule().preprocessing | {"kind": kind}
        for use in (check_preprocessing, lambda given: next(load_new(["a.png"], given))):
            with pytest.raises(ValueError, match="`preprocessing` .* one of .*images.* but got"):
                use(preprocessing)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("input_shape", [1, 8]),
            ("input_shape", [1, 8, 0]),
            ("input_shape", [1, 8.0, 8]),
            ("input_shape", "188"),
            ("mean", [0.1, 0.2]),
            ("mean", [float("nan")]),
            ("mean", 0.5),
            ("std", [0.0]),
            ("std", [float("inf")]),
            ("std", [None]),
            ("resize", "stretch"),
        ],
    )
    def test_damaged(self, key: str, value: Any) -> None:
        preprocessing = DigitsDataModule().preprocessing | {key: value}
        with pytest.raises(ValueError, match=f"Expected .*{key}.* but got"):
            check_preprocessing(preprocessing)

    def test_a_data_module_that_reads_nothing_new(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Own(pl.LightningDataModule):
            pass

        monkeypatch.setattr(DATA, "_added", {"own": Own})
        with pytest.raises(ValueError, match="name of a reader, one of .* but got 'own'"):
            check_preprocessing({"kind": "own"})
