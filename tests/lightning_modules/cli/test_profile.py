"""``optuna-nas profile``: its table, continuing one, and wrong input in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
import re
from typing import Any

import pytest

from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules.cli import main
from lightning_modules.costs import latency_profile
from optuna_nas import CellSpace


FAST = ["profile", "--data", "digits", "--rounds", "1", "--min-run-time", "0.0001"]
SMALL = [*FAST, "--network.channels", "2", "--network.stages", "1"]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def test_a_table_of_cells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--space", "cell", "--output", "new/cells.json", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert re.search(r"stage_1_edge_0_1 +│ +4 │ +0\.\d{4} │ +\d+\.\d{4}", out)
    assert out.splitlines()[-1] == "9 operations at 11 positions: new/cells.json"
    table = LatencyTable.load("new/cells.json")
    assert table.network == {
        "input_shape": (1, 8, 8),
        "task": {
            "name": "classification",
            "arguments": {
                "num_classes": 10,
                "class_names": [str(digit) for digit in range(10)],
                "label_smoothing": 0.0,
            },
        },
        "channels": 2,
        "cells_per_stage": 1,
        "stages": 1,
    }
    assert table.settings["threads"] == 1
    assert table.predict_ms(CellSpace().complete({})) > 0
    assert [path.name for path in Path("new").iterdir()] == ["cells.json"]


def test_a_table_of_chains(capsys: pytest.CaptureFixture[str]) -> None:
    Path("space.py").write_text(
        "from optuna_nas import ChainSpace\n"
        "space = ChainSpace(max_depth=1, max_dense_depth=0, filters=(2,))\n"
    )
    assert main([*FAST, "--space", "space.py:space"]) == 0
    assert "layer_1" in capsys.readouterr().out
    assert not LatencyTable.load("latency.json").missing()


def test_an_unfinished_table_is_continued(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Any] = []

    def interrupted(network: Any, *_: Any, **__: Any) -> Latency:
        if len(calls) == 6:
            raise KeyboardInterrupt
        calls.append(network)
        return Latency(1.0, 0.0)

    monkeypatch.setattr(latency_profile, "_TOGETHER", 2)
    monkeypatch.setattr(latency_profile, "time_forward", interrupted)
    assert main(SMALL) == 130
    assert capsys.readouterr().err == "optuna-nas: interrupted\n"
    assert len({name for _, name in LatencyTable.load("latency.json").entries}) == 6
    monkeypatch.setattr(latency_profile, "time_forward", lambda *_, **__: Latency(2.0, 0.0))
    assert main(SMALL) == 0
    medians = {entry.median_ms for entry in LatencyTable.load("latency.json").entries.values()}
    assert medians == {1.0, 2.0}


WRONG = [
    (["--data", "nowhere"], "--data to be .* but got 'nowhere'"),
    (["--space", "nope"], "--space to be .* but got 'nope'"),
    (
        ["--space", "own.py:space"],
        "--space to be a space whose latency .* but got 'own.py",
    ),
    (["--output", "."], r"--output to be a file to write but got '\.'"),
    (["--output", "text.json"], "text.json to be a latency table but it cannot be read"),
    (["--output", "other.json"], "other.json to be a latency table of version 2"),
    (["--output", "text.json/x"], "--output to be a file to write but got 'text.json/x'"),
    (["--output", "/proc/x.json"], "--output to be a file to write but got '/proc/x.json'"),
    (["--device", "abacus"], "--device to be a device like cpu or cuda but got 'abacus'"),
    (["--threads", "0"], "--threads to be at least 1 but got 0"),
    (["--threads", "some"], "--threads to be an integer but got 'some'"),
    (["--latency-batch-size", "0"], "--batch-size to be at least 1 but got 0"),
    (["--rounds", "0"], "--rounds to be at least 1 but got 0"),
    (["--min-run-time", "0"], "--min-run-time to be above 0 but got 0"),
    (["--min-run-time", "soon"], "--min-run-time to be a number but got 'soon'"),
    (["--network.channels", "0"], "`channels` to be at least 1 but got 0"),
    (["--network.colour", "3"], "unexpected keyword argument 'colour'"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=[" ".join(w[0]) for w in WRONG])
def test_wrong_input(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("text.json").write_text("no table")
    Path("other.json").write_text(json.dumps({"some": "thing"}))
    Path("own.py").write_text(
        "from optuna_nas import CellSpace, CustomSpace\n"
        "space = CustomSpace(dict(CellSpace().distributions), build=lambda architecture: None)\n"
    )
    assert main([*FAST, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("optuna-nas: error: ")
    assert re.search(sentence, line), line
    assert not Path("latency.json").exists()


def test_a_table_of_another_network_is_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(latency_profile, "time_forward", lambda *_, **__: Latency(1.0, 0.0))
    assert main(SMALL) == 0
    before = Path("latency.json").read_bytes()
    assert main([*SMALL, "--network.channels", "3"]) == 2
    assert "latency.json to be a new file or a latency table to continue but got one of other" in (
        capsys.readouterr().err
    )
    assert Path("latency.json").read_bytes() == before
