"""The number of workers follows the machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from lightning_modules.data import _workers
from lightning_modules.data._workers import default_workers


@pytest.mark.parametrize(
    ("cores", "threads", "gpu", "shared", "expected"),
    [
        (2, 1, False, 1e9, 1),
        (2, 2, False, 1e9, 1),
        (1, 1, False, 1e9, 1),
        (16, 16, False, 1e9, 4),
        (16, 12, False, 1e9, 4),
        (16, 1, False, 1e9, 8),
        (16, 16, True, 1e9, 8),
        (4, 4, True, 1e9, 3),
        (16, 1, False, 64e6, 3),  # A container that is not told otherwise.
        (16, 1, False, 1e6, 0),
    ],
)
def test_default(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    threads: int,
    gpu: bool,
    shared: float,
    expected: int,
) -> None:
    monkeypatch.setattr(_workers, "usable_cores", lambda: cores)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(_workers, "_SHARED_MEMORY", SimpleNamespace(is_dir=lambda: True))
    usage = SimpleNamespace(free=int(shared))
    monkeypatch.setattr("lightning_modules.data._workers.shutil.disk_usage", lambda _: usage)
    assert default_workers(3_000_000) == expected


def test_none_in_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    process = SimpleNamespace(daemon=True)
    monkeypatch.setattr("multiprocessing.current_process", lambda: process)
    assert default_workers(1) == 0
