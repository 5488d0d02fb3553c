"""Energy of a network by the counter of the GPU."""

from __future__ import annotations

import itertools
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lightning_modules import measure_energy_mj
from lightning_modules.costs import energy


def test_energy_is_the_counter_by_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = itertools.count(7_000, 500)
    monkeypatch.setattr(energy, "energy_counter", lambda device: lambda: next(counter))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    clock = itertools.count()
    monkeypatch.setattr(energy, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    passes = []
    network = nn.Linear(2, 2)
    network.register_forward_hook(lambda *_: passes.append(1))
    assert measure_energy_mj(network, (2,), min_run_time=6) == 500 / 5  # At seconds 1 to 5.
    assert len(passes) == 5 + 3  # The warm-up.


def test_energy_needs_a_gpu() -> None:
    with pytest.raises(ValueError, match="on an NVIDIA GPU .* but got one on cpu"):
        measure_energy_mj(nn.Linear(2, 2), (2,))
    with pytest.raises(ValueError, match="`min_run_time` to be above 0 but got 0"):
        measure_energy_mj(nn.Linear(2, 2), (2,), min_run_time=0)


class NVMLError(Exception):
    """As of the package nvidia-ml-py."""


def fail(*_: object) -> None:
    raise NVMLError("Not Supported")


def test_the_counter_is_that_of_the_very_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    found = SimpleNamespace(uuid="12ab")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)
    library = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: {"GPU-12ab": 7000}[handle],
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert energy.energy_counter(torch.device("cuda", 1))() == 7000
    library.nvmlDeviceGetTotalEnergyConsumption = fail
    with pytest.raises(ValueError, match="`energy_mj` cannot be read: Not Supported"):
        energy.energy_counter(torch.device("cuda", 1))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(ValueError, match="needs the package nvidia-ml-py: install it with"):
        energy.energy_counter(torch.device("cuda", 1))
