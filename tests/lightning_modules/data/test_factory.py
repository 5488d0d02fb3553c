"""Data modules by name or path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from lightning_modules.data import DigitsDataModule
from lightning_modules.data import FolderDataModule
from lightning_modules.data import make_datamodule
from lightning_modules.data import NpzDataModule


class TestFactory:
    def test_digits(self) -> None:
        data = make_datamodule("digits", batch_size=7)
        assert isinstance(data, DigitsDataModule)
        assert data.batch_size == 7

    @pytest.mark.parametrize("name", ["mnist", "", "no/such/folder"])
    def test_unknown(self, name: str) -> None:
        message = (
            f'argument `data` to be "digits", "fashion-mnist", or the path .* but got {name!r}'
        )
        with pytest.raises(ValueError, match=message):
            make_datamodule(name)

    def test_paths(self, tmp_path: Path) -> None:
        path = tmp_path / "data.npz"
        np.savez(path, X=np.zeros((9, 4, 5), np.uint8), y=np.arange(9) % 2)
        assert isinstance(make_datamodule(str(path)), NpzDataModule)
        for label in ("a", "b"):
            (tmp_path / label).mkdir()
            for i in range(3):
                Image.new("L", (5, 4), 20 * i).save(tmp_path / label / f"{i}.png")
        data = make_datamodule(str(tmp_path), image_size=3)
        assert isinstance(data, FolderDataModule)
        assert data.input_shape == (1, 3, 3)

    @pytest.mark.parametrize("name", ["digits", "fashion-mnist", "data.npz"])
    def test_size_of_images_that_have_their_own(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        np.savez("data.npz", X=np.zeros((9, 4, 5), np.uint8), y=np.arange(9) % 2)
        assert make_datamodule(name, image_size=None).batch_size == 96
        with pytest.raises(ValueError, match=f"`image_size` to be None, .*{name} .* but got 8"):
            make_datamodule(name, image_size=8)
