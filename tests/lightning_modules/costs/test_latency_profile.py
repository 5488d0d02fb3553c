"""Measuring a latency table: real times, files that are continued, and progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules import as_kit
from lightning_modules import Classification
from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules import profile_latency
from lightning_modules import Regression
from lightning_modules import time_forward
from lightning_modules.costs import latency_profile
from optuna_nas import CellSpace
from optuna_nas import MobileSpace
from optuna_nas.spaces import MobileStage


SMALL: dict[str, Any] = {
    "input_shape": (1, 6, 6),
    "task": Classification(2),
    "min_run_time": 1e-4,
}
CELL: dict[str, Any] = {**SMALL, "channels": 2, "cells_per_stage": 1, "stages": 2, "rounds": 1}
SPACE = MobileSpace(
    [MobileStage(depths=(1, 2), widths=(8,), kernels=(3,))], stem_widths=(8,), head_widths=(8,)
)


def test_real_times() -> None:
    table = profile_latency(SPACE, **SMALL, rounds=2)
    assert not table.missing()
    assert all(0 < latency.median_ms < 1000 for latency in table.entries.values())
    assert all(latency.iqr_ms >= 0 for latency in table.entries.values())
    shallow, deep = (SPACE.complete({"stage_1_depth": depth}) for depth in (1, 2))
    assert 0 < table.predict_ms(shallow) < table.predict_ms(deep)
    assert table.settings["device"] == "cpu"
    assert table.settings["device_name"]
    assert table.settings["rounds"] == 2


def test_median_and_spread() -> None:
    latency = time_forward(nn.Linear(8, 8), (8,), threads=1, min_run_time=0.001)
    assert latency.median_ms > 0
    assert latency.iqr_ms >= 0


def test_an_interrupted_table_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.json"
    monkeypatch.setattr(latency_profile, "_TOGETHER", 4)
    calls: list[nn.Module] = []

    def interrupted(network: nn.Module, *_: Any, **__: Any) -> Latency:
        if len(calls) == 10:
            raise KeyboardInterrupt
        calls.append(network)
        return Latency(1.0, 0.0)

    monkeypatch.setattr(latency_profile, "time_forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        profile_latency(CellSpace(), **CELL, path=path)
    found = LatencyTable.load(path)
    assert len({name for _, name in found.entries}) == 8
    assert found.missing()

    monkeypatch.setattr(latency_profile, "time_forward", lambda *_, **__: Latency(2.0, 0.0))
    table = profile_latency(CellSpace(), **CELL, path=path)
    assert not table.missing()
    assert {place: table.entries[place] for place in found.entries} == found.entries
    assert {latency.median_ms for latency in table.entries.values()} == {1.0, 2.0}
    assert LatencyTable.load(path).entries == table.entries

    monkeypatch.setattr(latency_profile, "time_forward", interrupted)  # Nothing is left to do.
    assert profile_latency(CellSpace(), **CELL, path=path).entries == table.entries


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"threads": 2}, r"settings \(threads\)"),
        ({"min_run_time": 2e-4}, r"settings \(min_run_time\)"),
        ({"channels": 3}, r"network \(channels\)"),
        ({"task": Regression(3)}, r"network \(head\)"),
    ],
)
def test_tables_of_other_settings_are_not_continued(
    change: dict[str, Any], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency_profile, "time_forward", lambda *_, **__: Latency(1.0, 0.0))
    path = tmp_path / "table.json"
    profile_latency(CellSpace(), **CELL, path=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"continue but got one of other {what}"):
        profile_latency(CellSpace(), **(CELL | change), path=path)
    with pytest.raises(ValueError, match=r"got one of other decisions \(edge_0_1\)"):
        profile_latency(CellSpace().freeze({"edge_0_1": "none"}), **CELL, path=path)
    path.write_text("no table")
    with pytest.raises(ValueError, match="table.json to be a latency table"):
        profile_latency(CellSpace(), **CELL, path=path)
    path.write_bytes(before)


def test_a_table_of_a_task_with_the_same_head_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean and the deviation of targets change with the split, and cost nothing."""
    monkeypatch.setattr(latency_profile, "time_forward", lambda *_, **__: Latency(1.0, 0.0))
    path = tmp_path / "table.json"
    profile_latency(CellSpace(), **(CELL | {"task": Regression(2)}), path=path)
    monkeypatch.setattr(latency_profile, "time_forward", lambda *_, **__: Latency(2.0, 0.0))
    other = Regression(2, (1.0, 2.0), (3.0, 4.0))
    table = profile_latency(CellSpace(), **(CELL | {"task": other}), path=path)
    assert {latency.median_ms for latency in table.entries.values()} == {1.0}


@pytest.mark.parametrize("space", ["cell", as_kit("cell"), CellSpace()])
def test_a_name_or_a_kit_is_a_space(space: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_profile, "time_forward", lambda *_, **__: Latency(1.0, 0.0))
    table = profile_latency(space, **CELL)
    assert table.space == "cell"
    assert table.predict_ms(CellSpace().complete({})) > 0


@pytest.mark.parametrize("progress", [True, False, None])
def test_progress(
    progress: bool | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(latency_profile, "time_forward", lambda *_, **__: Latency(1.0, 0.0))
    monkeypatch.setenv("FORCE_COLOR", "1")  # For rich this is a terminal.
    profile_latency(CellSpace(), **CELL, progress=progress)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("operations" in err) == (progress is True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu() -> None:
    table = profile_latency(SPACE, **SMALL, device="cuda", rounds=1)
    assert table.settings["device_name"] == torch.cuda.get_device_name()
    assert table.predict_ms(SPACE.complete({})) > 0
    probabilities = {"stage_1_depth": torch.tensor([0.5, 0.5], device="cuda")}
    assert table.expected_ms(probabilities).is_cuda
