"""New images for prediction get the form of the training images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
import warnings

import numpy as np
from PIL import Image
import pytest
import torch

from lightning_modules.data import DataError
from lightning_modules.data import FolderDataModule
from lightning_modules.data import load_images


MEAN, STD = [0.5, 0.25, 0.0], [0.5, 1.0, 2.0]


def _pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _like(
    shape: tuple[int, int, int], mean: list[float], std: list[float], resize: str = "pad"
) -> dict[str, Any]:
    return {
        "kind": "images",
        "input_shape": list(shape),
        "mean": mean,
        "std": std,
        "resize": resize,
    }


@pytest.mark.parametrize("resize", ["pad", "crop"])
def test_same_tensors_as_in_training(tmp_path: Path, resize: Any) -> None:
    for divisor, label in ((1, "a"), (5, "b")):
        (tmp_path / label).mkdir()
        for i in range(4):
            Image.fromarray(_pixels(7, 9, 3) // (divisor + i)).save(tmp_path / label / f"{i}.png")
    data = FolderDataModule(tmp_path, image_size=(6, 5), resize=resize, train_on_validation=True)
    images, _ = next(iter(data.train_dataloader()))
    paths = sorted(tmp_path.glob("*/*.png"))
    loaded = load_images(paths, json.loads(json.dumps(data.preprocessing)))
    assert loaded.dtype == torch.float32
    assert loaded.shape == (8, 3, 6, 5)
    found = {tuple(image.flatten().tolist()) for image in loaded}
    assert len(found) == 8
    assert len(images) == 6
    assert {tuple(image.flatten().tolist()) for image in images} < found


def test_values_are_scaled_and_normalised(tmp_path: Path) -> None:
    Image.new("RGB", (4, 2), (255, 51, 0)).save(tmp_path / "a.png")
    image = load_images(tmp_path / "a.png", _like((3, 2, 4), MEAN, STD))
    assert image.shape == (1, 3, 2, 4)
    assert image.mean(dim=(0, 2, 3)).tolist() == pytest.approx([1, -0.05, 0])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_modes_are_converted(tmp_path: Path, mode: str, channels: int) -> None:
    white = Image.new("L", (4, 2), 255)
    if mode == "I;16":
        image = Image.fromarray(np.full((2, 4), 65535, np.uint16))
    else:
        image = white.convert(mode)
    transparency = {"transparency": b"\xff" * 256} if mode == "P" else {}
    image.save(tmp_path / "a.png", **transparency)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_images(
            [tmp_path / "a.png"],
            _like((channels, 3, 5), [0.0] * channels, [1.0] * channels, "crop"),
        )
    assert torch.equal(loaded, torch.ones(1, channels, 3, 5))


def test_sixteen_bits_are_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 4), 32768, np.uint16)).save(tmp_path / "a.png")
    loaded = load_images([tmp_path / "a.png"], _like((1, 2, 4), [0.0], [1.0]))
    assert loaded.mean().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("input_shape", "shape", "order"),
    [
        ((1, 6, 5), (6, 5), None),
        ((1, 6, 5), (7, 6, 5), None),
        ((1, 6, 5), (6, 5, 1), None),
        ((1, 6, 5), (1, 6, 5), None),
        ((1, 6, 5), (7, 6, 5, 1), None),
        ((3, 6, 5), (3, 6, 5), None),
        ((3, 6, 5), (6, 5, 3), (2, 0, 1)),
        ((3, 6, 5), (7, 3, 6, 5), None),
        ((3, 6, 5), (7, 6, 5, 3), (0, 3, 1, 2)),
        ((3, 3, 3), (3, 3, 3), None),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays(
    tmp_path: Path,
    suffix: str,
    input_shape: tuple[int, int, int],
    shape: tuple[int, ...],
    order: tuple[int, ...] | None,
) -> None:
    array, path = _pixels(*shape), tmp_path / f"new{suffix}"
    if suffix == ".npy":
        np.save(path, array)
    else:
        np.savez(path, X=array)
    loaded = load_images(
        [path], _like(input_shape, [0.0] * input_shape[0], [1.0] * input_shape[0])
    )
    expected = array if order is None else array.transpose(order)
    expected = expected.reshape(-1, *input_shape)
    assert (loaded * 255).round().int().tolist() == expected.tolist()


def test_order_of_several_files(tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", np.array([[[1.0]], [[2.0]]]))
    Image.new("L", (1, 1), 255).save(tmp_path / "one.png")
    paths = [tmp_path / "one.png", str(tmp_path / "two.npy"), tmp_path / "one.png"]
    assert load_images(paths, _like((1, 1, 1), [1.0], [0.5])).flatten().tolist() == [0, 0, 2, 0]


class TestErrors:
    def test_files(self, tmp_path: Path) -> None:
        def load(name: str) -> None:
            load_images([tmp_path / name], _like((3, 6, 5), MEAN, STD))

        for name in ("text.png", "text.npy", "text.npz"):
            (tmp_path / name).write_text("text")
        with pytest.raises(DataError, match="gone.png to be an image file but got no such file"):
            load("gone.png")
        with pytest.raises(DataError, match="text.png to be a readable image but got Unidentif"):
            load("text.png")
        with pytest.raises(DataError, match="text.npy to be a readable .npy file but got Value"):
            load("text.npy")
        with pytest.raises(DataError, match="text.npz to be a readable .npz file but got Value"):
            load("text.npz")
        np.savez(tmp_path / "other.npz", Y=_pixels(6, 5, 3))
        with pytest.raises(DataError, match=r"other.npz to have the arrays \['X'\] but got \['Y"):
            load("other.npz")
        (tmp_path / "other.npz").rename(tmp_path / "archive.npy")
        with pytest.raises(DataError, match="archive.npy to be an .npy file but got an archive"):
            load("archive.npy")
        np.save(tmp_path / "size.npy", _pixels(6, 6, 3))
        with pytest.raises(DataError, match=r"3 channels, height 6 and width 5 but got shape"):
            load("size.npy")
        np.save(tmp_path / "nan.npy", np.full((3, 6, 5), np.nan))
        with pytest.raises(DataError, match="nan.npy to be finite but got NaN"):
            load("nan.npy")

    @pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp"])
    def test_truncated_images(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(_pixels(60, 50, 3)).save(path)
        whole = path.read_bytes()
        for n in (0, 5, 20, 40, len(whole) // 2):
            path.write_bytes(whole[:n])
            with pytest.raises(DataError, match="to be a readable image but got"):
                load_images([path], _like((3, 6, 5), MEAN, STD))

    def test_arguments(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        Image.new("L", (4, 4)).save(path)
        with pytest.raises(ValueError, match="`paths` to name at least one file but got none"):
            load_images([], _like((1, 4, 4), [0.0], [1.0]))
        with pytest.raises(
            ValueError, match=r"`mean` to be .* for each of the 3 channels .* got \[0.0\]"
        ):
            load_images([path], _like((3, 4, 4), [0.0], STD))
        with pytest.raises(
            ValueError, match=r"`std` to be .* for each of the 3 channels .* got \[1.0\]"
        ):
            load_images([path], _like((3, 4, 4), MEAN, [1.0]))
        with pytest.raises(ValueError, match="1, 3 or 4 channels but got 2"):
            load_images([path], _like((2, 4, 4), [0.0] * 2, [1.0] * 2))
        for change in ({"kind": "sounds"}, {"resize": "stretch"}, {"std": None}):
            with pytest.raises(ValueError, match="argument `preprocessing` to have"):
                load_images([path], _like((3, 4, 4), MEAN, STD) | change)
