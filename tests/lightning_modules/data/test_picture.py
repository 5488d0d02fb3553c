"""Pictures of all kinds are read as people see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
import pytest

from lightning_modules.data import DataError
from lightning_modules.data._picture import Header
from lightning_modules.data._picture import read_header
from lightning_modules.data._picture import read_picture


def _read(path: Path, channels: int = 3, height: int = 8, width: int = 8, how: Any = "pad") -> Any:
    pixels = read_picture(path, (channels, height, width), how)
    assert pixels.shape == (channels, height, width)
    assert pixels.dtype == np.uint8
    return pixels


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_exif_turns_a_picture(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (16, 8), "black")
    image.paste("white", (0, 0, 8, 8))  # The left half, which is the top after a turn.
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"a.{suffix}"
    image.save(path, exif=exif, quality=95)
    assert read_header(str(path)) == Header(3, 16, 8)
    pixels = _read(path, height=16, width=8)
    assert pixels[:, :7].min() > 240
    assert pixels[:, 9:].max() < 15


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "RGB with a key", "L with a key"])
def test_transparency_shows_white(tmp_path: Path, kind: str, channels: int) -> None:
    extra: dict[str, Any] = {}
    if kind == "P":
        image, extra = Image.new("L", (8, 8), 0).convert("P"), {"transparency": b"\0" * 256}
    elif kind == "RGBA":
        image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    elif kind == "LA":
        image = Image.new("LA", (8, 8), (0, 0))
    elif kind.startswith("L"):
        image, extra = Image.new("L", (8, 8), 0), {"transparency": 0}
    else:
        image, extra = Image.new("RGB", (8, 8), 0), {"transparency": (0, 0, 0)}
    image.save(tmp_path / "a.png", **extra)
    assert _read(tmp_path / "a.png", channels).min() == 255


def test_half_transparent_and_four_channels(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (200, 0, 0, 128)).save(tmp_path / "a.png")
    assert _read(tmp_path / "a.png")[:, 0, 0].tolist() == pytest.approx([227, 127, 127], abs=1)
    assert _read(tmp_path / "a.png", 4)[:, 0, 0].tolist() == [200, 0, 0, 128]


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = _read(tmp_path / "a.jpg").reshape(3, -1).mean(axis=1)
    assert red > 240
    assert max(green, blue) < 20
    assert read_header(str(tmp_path / "a.jpg")).channels == 3


def test_palette_and_first_picture_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("lime", "red")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert _read(tmp_path / "a.gif")[:, 0, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_grayscale_headers(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.zeros((4, 6), np.uint16))
    else:
        image = Image.new("L", (6, 4)).convert(mode)
    image.save(tmp_path / "a.png")
    assert read_header(str(tmp_path / "a.png")) == Header(1, 4, 6)


class TestResize:
    @pytest.fixture
    def wide(self, tmp_path: Path) -> Path:
        """Three squares beside each other: gray, white, gray."""
        image = Image.new("L", (96, 32), 60)
        image.paste(255, (32, 0, 64, 32))
        image.save(tmp_path / "wide.png")
        return tmp_path / "wide.png"

    def test_pad(self, wide: Path) -> None:
        pixels = _read(wide, 1, 24, 24)[0]
        assert pixels[:8].max() == 0
        assert pixels[16:].max() == 0
        assert pixels[10:14, 1:7].tolist() == [[60] * 6] * 4
        assert pixels[10:14, 10:14].tolist() == [[255] * 4] * 4

    def test_crop(self, wide: Path) -> None:
        assert _read(wide, 1, 24, 24, "crop").min() > 200

    def test_a_large_jpeg_is_scaled_while_it_is_decoded(self, tmp_path: Path) -> None:
        gradient = np.linspace(0, 255, 1024).astype(np.uint8)
        pixels = np.tile(gradient, (512, 1))
        Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
        found = _read(tmp_path / "a.jpg", 1, 16, 32)[0].astype(float)
        expected = pixels.reshape(16, 32, 32, 32).mean(axis=(1, 3))
        assert np.abs(found - expected).max() < 6


def test_errors(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nonsense")
    for read in (read_header, lambda path: read_picture(path, (3, 4, 4), "pad")):
        with pytest.raises(DataError, match="a.png to be a readable image but got"):
            read(str(tmp_path / "a.png"))
        with pytest.raises(DataError, match="gone.png to be an image file but got no such file"):
            read(str(tmp_path / "gone.png"))
