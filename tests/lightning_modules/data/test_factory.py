"""Data modules by name or path, and what reads new data for them."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
import sys
from types import SimpleNamespace
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
from lightning_modules.data import ImageDataModule
from lightning_modules.data import load_images
from lightning_modules.data import load_new
from lightning_modules.data import make_datamodule
from lightning_modules.data import NpzDataModule
from lightning_modules.data import preprocessing_of
from lightning_modules.data import settings_of
from lightning_modules.registries import DATA


OWN = """
import pytorch_lightning as pl
from lightning_modules.data import FolderDataModule

class Plain(pl.LightningDataModule):
    pass

class Sized(pl.LightningDataModule):
    def __init__(self, size, scale=1.0):
        super().__init__()
        self.size, self.scale = size, scale

class Photos(FolderDataModule):
    def __init__(self, path="photos", **kwargs):
        super().__init__(path, **kwargs)

made = Sized(3)
number = 3
"""


def save_npz(path: Path) -> str:
    np.savez(path, X=np.zeros((9, 4, 5), np.uint8), y=np.arange(9) % 2)
    return str(path)


def save_photos(folder: Path) -> str:
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (5, 4), 20 * i).save(folder / label / f"{i}.png")
    return str(folder)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a file with data modules of the user's own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / f"own_data_{tmp_path.name}.py"
    path.write_text(OWN)
    return str(path)


class TestFactory:
    def test_digits(self) -> None:
        data = make_datamodule("digits", batch_size=7)
        assert isinstance(data, DigitsDataModule)
        assert data.batch_size == 7

    @pytest.mark.parametrize("name", ["mnist", "", "no/such/folder", "images", "npz"])
    def test_unknown(self, name: str) -> None:
        message = (
            f"argument `data` to be digits, fashion-mnist, the path .* or MODULE:NAME or "
            f"FILE.py:NAME but got {name!r}"
        )
        with pytest.raises(ValueError, match=message):
            make_datamodule(name)

    def test_paths(self, tmp_path: Path) -> None:
        path = tmp_path / "data.npz"
        save_npz(path)
        assert isinstance(make_datamodule(str(path)), NpzDataModule)
        save_photos(tmp_path)
        data = make_datamodule(str(tmp_path), image_size=3)
        assert isinstance(data, FolderDataModule)
        assert data.input_shape == (1, 3, 3)

    def test_a_path_from_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        save_npz(tmp_path / "data.npz")
        data = make_datamodule("~/data.npz")
        assert isinstance(data, NpzDataModule)
        assert data.input_shape == (1, 4, 5)

    @pytest.mark.parametrize("name", ["digits", "images"])
    def test_folders_called_like_data(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        save_photos(tmp_path / name)
        found = FolderDataModule if name == "images" else DigitsDataModule
        assert type(make_datamodule(name)) is found
        assert type(make_datamodule(f"./{name}")) is FolderDataModule

    @pytest.mark.parametrize("name", ["digits", "fashion-mnist", "data.npz"])
    def test_size_of_images_that_have_their_own(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        save_npz(tmp_path / "data.npz")
        assert make_datamodule(name, image_size=None).batch_size == 96
        with pytest.raises(ValueError, match=f"no argument `image_size` for .*{name}.* but got 8"):
            make_datamodule(name, image_size=8)


class TestOwn:
    def test_classes_in_files_and_modules(self, own: str) -> None:
        assert type(make_datamodule(f"{own}:Plain")).__name__ == "Plain"
        data: Any = make_datamodule(f"{own}:Sized", size=4)
        assert (data.size, data.scale) == (4, 1.0)
        name = "lightning_modules.data:DigitsDataModule"
        assert isinstance(make_datamodule(name, batch_size=3), DigitsDataModule)

    def test_one_that_is_made_already(self, own: str) -> None:
        data = make_datamodule(f"{own}:made")
        assert data is find_data(f"{own}:made")
        with pytest.raises(
            ValueError, match="no argument `size` for the data .*:made.* but got 4"
        ):
            make_datamodule(f"{own}:made", size=4)

    def test_a_reader_of_ones_own_reads_its_own_path(
        self, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        save_photos(tmp_path / "photos")
        save_photos(tmp_path / "others")
        found = [make_datamodule(f"{own}:Photos"), make_datamodule(f"{own}:Photos", path="others")]
        assert [data.path for data in found] == ["photos", "others"]

    @pytest.mark.parametrize(
        ("name", "settings", "message"),
        [
            ("Sized", {}, "argument `size` for the data .*:Sized, which needs it, but got none"),
            ("Sized", {"size": 1, "wide": 2}, "no argument `wide` for the data .*:Sized.* got 2"),
            ("Plain", {"batch_size": 2}, "no argument `batch_size` for the data .*:Plain.* got 2"),
            ("number", {}, "`data` .*:number to name a LightningDataModule but got 3"),
            ("gone", {}, "`data` .*:gone to be a LightningDataModule but importing it failed"),
        ],
    )
    def test_errors(self, own: str, name: str, settings: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            make_datamodule(f"{own}:{name}", **settings)

    def test_files_and_modules_that_are_not_there(self) -> None:
        for name in ("no_such_file.py:Data", "no_such_module:Data"):
            with pytest.raises(ValueError, match=f"`data` {name} to be a Lightning.* failed"):
                find_data(name)

    def test_a_package_that_cannot_be_imported_hinders_nobody_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> Any:
            raise ImportError("broken")

        entry = SimpleNamespace(load=fail, module="no.such.module")
        monkeypatch.setattr(DATA, "_entry_points", {"a-broken-one": entry})
        assert find_data("digits") is DigitsDataModule
        assert find_data(save_npz(tmp_path / "data.npz")) is NpzDataModule
        with pytest.raises(ValueError, match="a-broken-one to be .*importing it failed.* broken"):
            find_data("a-broken-one")


class TestSettings:
    def test_those_of_ancestors_are_included(self) -> None:
        shared = set(settings_of(DigitsDataModule))
        assert {"batch_size", "seed", "train_fraction", "num_workers"} <= shared
        assert set(settings_of(FashionMNISTDataModule)) == {*shared, "folder"}
        assert set(settings_of(FolderDataModule)) == {*shared, "path", "image_size", "resize"}
        assert settings_of(DigitsDataModule)["batch_size"].default == 96

    def test_only_those_that_are_passed_on(self) -> None:
        class Fixed(ImageDataModule):
            def __init__(self, size: int = 3) -> None:
                super().__init__(batch_size=size)

        assert list(settings_of(Fixed)) == ["size"]
        assert settings_of(pl.LightningDataModule) == {}


# New data.


class Sounds(pl.LightningDataModule):
    """A reader that is no reader of images."""

    @classmethod
    def load_new(
        cls, files: Sequence[str], preprocessing: Mapping[str, Any]
    ) -> Iterator[tuple[str, Any]]:
        for file in files:
            yield file, torch.full((1, 2), preprocessing["rate"])

    @staticmethod
    def check_preprocessing(preprocessing: Mapping[str, Any]) -> None:
        if "rate" not in preprocessing:
            raise ValueError("Expected argument `preprocessing` to have a rate but got none.")


@pytest.fixture
def sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATA, "_added", {"sounds": Sounds})


class TestNewData:
    def test_images(self, tmp_path: Path) -> None:
        data = FolderDataModule(save_photos(tmp_path / "photos"))
        data.setup("fit")
        files = sorted(map(str, (tmp_path / "photos" / "a").iterdir()))
        found = list(load_new(files, data.preprocessing))
        assert [file for file, _ in found] == files
        images = torch.cat([image for _, image in found])
        assert torch.equal(images, load_images(files, data.preprocessing))
        assert images.shape == (3, 1, 4, 5)

    def test_arrays_of_several_images(self, tmp_path: Path) -> None:
        path = save_npz(tmp_path / "data.npz")
        data = NpzDataModule(path)
        data.setup("fit")
        [(file, images)] = load_new([path], data.preprocessing)
        assert file == path
        assert images.shape == (9, 1, 4, 5)

    @pytest.mark.usefixtures("sounds")
    def test_a_reader_of_another_package(self) -> None:
        found = list(load_new(["a.wav", "b.wav"], {"kind": "sounds", "rate": 8.0}))
        assert [(file, values.tolist()) for file, values in found] == [
            ("a.wav", [[8, 8]]),
            ("b.wav", [[8, 8]]),
        ]

    def test_a_file_that_cannot_be_read_is_told_when_it_is_its_turn(self, tmp_path: Path) -> None:
        good = save_npz(tmp_path / "data.npz")
        data = NpzDataModule(good)
        data.setup("fit")
        loaded = load_new([good, str(tmp_path / "gone.npz")], data.preprocessing)
        next(loaded)
        with pytest.raises(DataError, match="gone.npz to be a readable .npz file but got"):
            next(loaded)

    @pytest.mark.usefixtures("sounds")
    @pytest.mark.parametrize(
        ("preprocessing", "message"),
        [
            ({}, "to have a kind of .*digits.*sounds but got None"),
            ({"kind": "smells"}, "to have a kind of .*digits.*sounds but got 'smells'"),
            ({"kind": ["images"]}, r"to have a kind of .* but got \['images'\]"),
            ({"kind": "images"}, "to have kind .images., input_shape, mean, std, .* but got"),
            ({"kind": "sounds"}, "to have a rate but got none"),
        ],
    )
    def test_errors_come_before_the_first_file(self, preprocessing: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            check_preprocessing(preprocessing)
        with pytest.raises(ValueError, match=message):
            load_new([], preprocessing)

    @pytest.mark.usefixtures("sounds")
    def test_what_data_modules_say_of_it(self) -> None:
        digits = DigitsDataModule()
        assert preprocessing_of(digits) == digits.preprocessing
        assert preprocessing_of(pl.LightningDataModule()) is None
        for found in [{"kind": "smells"}, {"mean": 3}, "resize", torch.nn.Identity()]:
            module: Any = Sounds()
            module.preprocessing = found
            assert preprocessing_of(module) is None
        module.preprocessing = {"kind": "sounds", "rate": 3}
        assert preprocessing_of(module) == {"kind": "sounds", "rate": 3}
