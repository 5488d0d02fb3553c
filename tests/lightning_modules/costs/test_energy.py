"""Energy of a forward pass, by a counter."""

from __future__ import annotations

import itertools
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
