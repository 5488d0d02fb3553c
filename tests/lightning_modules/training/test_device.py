"""Devices and strategies of a training."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from lightning_modules.training.device import empty_accelerator
from lightning_modules.training.device import select_device
from lightning_modules.training.device import strategy_for


def gpus(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the machine have GPUs."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: number > 0)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))


@pytest.mark.parametrize(
    ("devices", "index"),
    [(1, 0), (2, 0), ("auto", 0), ("2", 0), ([1], 1), ([3, 1], 3), ("2,", 2), ("1,3", 1), ([], 0)],
)
def test_the_first_device(monkeypatch: pytest.MonkeyPatch, devices: Any, index: int) -> None:
    gpus(monkeypatch, 4)
    for accelerator in ("auto", "gpu"):
        assert select_device(accelerator, devices) == torch.device("cuda", index)
    assert select_device("cpu", devices) == torch.device("cpu")


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 0)
    assert select_device("auto", 1) == select_device("cpu", 1) == torch.device("cpu")
    with pytest.raises(ValueError, match="`accelerator` to be auto or cpu, .* but got 'gpu'"):
        select_device("gpu", 1)


def test_another_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 1)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("mps"))
    assert select_device("auto", 1) == torch.device("mps")


@pytest.mark.parametrize(
    ("devices", "strategy"),
    [
        (1, "auto"),
        ("1", "auto"),
        (2, "ddp_spawn"),
        ("2", "ddp_spawn"),
        ("0,", "auto"),
        ("3,", "auto"),
        ("0,3", "ddp_spawn"),
        ([0], "auto"),
        ([3], "auto"),  # The fourth device alone.
        ([0, 3], "ddp_spawn"),
        ("auto", "ddp_spawn"),
        (-1, "ddp_spawn"),
    ],
)
def test_several_gpus(monkeypatch: pytest.MonkeyPatch, devices: Any, strategy: str) -> None:
    gpus(monkeypatch, 4)
    assert strategy_for(devices) == strategy


def test_several_processes_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert strategy_for("auto") == strategy_for(1) == "auto"
    assert strategy_for(2) == "ddp_spawn"
    with pytest.raises(ValueError, match="`devices` to be 1 to 2 but got 3"):
        strategy_for(3)


@pytest.mark.parametrize("devices", [-1, "-1", "0,", "0,1", [0], []])
def test_a_cpu_has_no_numbered_devices(monkeypatch: pytest.MonkeyPatch, devices: Any) -> None:
    """A trainer would refuse them, in each trial."""
    gpus(monkeypatch, 0)
    message = f"`devices` to be a number above 0 or auto, .* no GPU, but got {devices!r}"
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        strategy_for(devices)


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (0, "to be 1 to 4 but got 0"),
        (-2, "to be 1 to 4 but got -2"),
        (5, "to be 1 to 4 but got 5"),
        ([], r"to be 1 to 4 but got \[\]"),
        ("4,", "to be different numbers below 4 but got '4,'"),
        ([0, 9], r"to be different numbers below 4 but got \[0, 9\]"),
        ("1,1", "to be different numbers below 4 but got '1,1'"),
        ("gpu", "to be a number, a list such as 0,1 or auto but got 'gpu'"),
        ("", "to be a number, a list such as 0,1 or auto but got ''"),
        ("0,,1", "to be a number, a list such as 0,1 or auto but got '0,,1'"),
        ("1.5", "to be a number, a list such as 0,1 or auto but got '1.5'"),
    ],
)
def test_devices_out_of_range(monkeypatch: pytest.MonkeyPatch, devices: Any, message: str) -> None:
    gpus(monkeypatch, 4)
    with pytest.raises(ValueError, match=f"argument `devices` {message}"):
        strategy_for(devices)


def test_memory_of_a_gpu_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append(1))
    empty_accelerator(torch.device("cpu"))
    assert calls == []
    empty_accelerator(torch.device("cuda", 0))
    assert calls == [1]
