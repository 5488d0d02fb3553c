"""Mean and deviation of bytes, of numbers and of pictures in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest
import torch

from lightning_modules.data import _normalise
from lightning_modules.data import PictureFiles
from lightning_modules.data._normalise import measure


def test_bytes_give_what_numbers_give() -> None:
    images = torch.randint(0, 256, (30, 3, 7, 5), generator=torch.Generator().manual_seed(0))
    images[:, 1] = 7
    found = measure(images.to(torch.uint8))
    expected = measure(images.float() / 255)
    assert found.mean.tolist() == pytest.approx(expected.mean.tolist(), rel=1e-5)
    assert found.std.tolist() == pytest.approx(expected.std.tolist(), rel=1e-5)
    assert found.std[1] == 1
    assert torch.allclose(found(images.to(torch.uint8)), expected(images.float() / 255), atol=1e-5)


def test_a_fixed_sample_of_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(tmp_path / f"{i}.png") for i in range(40)]
    for i, path in enumerate(paths):
        Image.new("L", (4, 4), 6 * i).save(path)
    files = PictureFiles(paths, (1, 4, 4))
    exact = measure(files).mean.item()
    assert exact == pytest.approx(np.mean([6 * i for i in range(40)]) / 255)
    monkeypatch.setattr(_normalise, "MAX_SAMPLE", 10)
    sampled = measure(files).mean.item()
    assert sampled == measure(files).mean.item()
    assert sampled != exact
    assert sampled == pytest.approx(exact, abs=0.15)  # So not the first ten.
