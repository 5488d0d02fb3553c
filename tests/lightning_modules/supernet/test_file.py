"""A trained supernet in one file."""

from __future__ import annotations

from pathlib import Path
import pickle
from typing import Any

import pytest
import torch

from lightning_modules import as_kit
from lightning_modules import CheckpointError
from lightning_modules import Classification
from lightning_modules import Kit
from lightning_modules import Regression
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import load_supernet
from lightning_modules.supernet import save_supernet
from lightning_modules.supernet import Supernet
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.spaces import MobileStage


CELL = CellSpace(n_nodes=3)
TASK = Classification(3, ("a", "b", "c"))
SMALL: dict[str, Any] = {"channels": 4, "cells_per_stage": 1, "stages": 1}
SPACES: dict[str, tuple[SearchSpace, dict[str, Any]]] = {
    "cell": (CELL, {**SMALL, "affine": False}),
    "frozen": (CELL.freeze({"edge_0_1": "none"}), SMALL),
    "chain": (ChainSpace(max_depth=2, filters=(4, 8), kernel_sizes=(3,), units=(8,)), {}),
    "darts": (DartsSpace(n_nodes=1), {"channels": 4, "cells": 3}),
    "mobile": (MobileSpace([MobileStage(depths=(1, 2), widths=(4, 8))]), {}),
}


def make(name: str = "cell", **more: Any) -> Supernet:
    torch.manual_seed(0)
    space, arguments = SPACES[name]
    supernet = build_supernet(space, TASK, input_shape=(1, 8, 8), **{**arguments, **more})
    with torch.no_grad():
        for tensor in supernet.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
    return supernet


@pytest.mark.parametrize("name", SPACES)
def test_round_trip(name: str, tmp_path: Path) -> None:
    supernet = make(name)
    save_supernet(supernet, tmp_path / "new" / "net.pt")
    torch.manual_seed(9)
    loaded = load_supernet(str(tmp_path / "new" / "net.pt"), SPACES[name][0])
    assert loaded.task == TASK
    assert loaded.arguments == supernet.arguments
    assert loaded.choices == supernet.choices
    state = loaded.state_dict()
    assert state.keys() == supernet.state_dict().keys()
    assert all(torch.equal(t, state[n]) for n, t in supernet.state_dict().items())
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"net.pt", "net.pt.sha256"}


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    save_supernet(make(), tmp_path / "net.pt")
    save_supernet(make(channels=8), tmp_path / "net.pt")
    assert load_supernet(tmp_path / "net.pt", CELL).arguments["channels"] == 8


def test_a_failed_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_supernet(make(), tmp_path / "net.pt")
    save = torch.save

    def half(content: Any, path: Any) -> None:
        save(content, path)
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", half)
        with pytest.raises(OSError, match="no space"):
            save_supernet(make(channels=8), tmp_path / "net.pt")
    assert load_supernet(tmp_path / "net.pt", CELL).arguments["channels"] == 4
    assert len(list(tmp_path.iterdir())) == 2


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"net\.pt to be a supernet but got no such file"):
        load_supernet(tmp_path / "net.pt", CELL)


def test_one_flipped_bit_is_found(tmp_path: Path) -> None:
    save_supernet(make(), tmp_path / "net.pt")
    content = bytearray((tmp_path / "net.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="digest"):
        load_supernet(tmp_path / "net.pt", CELL)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_cut_file_without_digest(part: float, tmp_path: Path) -> None:
    save_supernet(make(), tmp_path / "net.pt")
    (tmp_path / "net.pt.sha256").unlink()
    content = (tmp_path / "net.pt").read_bytes()
    (tmp_path / "net.pt").write_bytes(content[: int(part * len(content))])
    with pytest.raises(CheckpointError, match="readable supernet but got"):
        load_supernet(tmp_path / "net.pt", CELL)


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_nothing_in_the_file_is_executed(how: str, tmp_path: Path) -> None:
    harmful = {"optuna_nas_supernet": 2, "arguments": Harmful(tmp_path / "done")}
    if how == "torch":
        torch.save(harmful, tmp_path / "net.pt")
    else:
        (tmp_path / "net.pt").write_bytes(pickle.dumps(harmful))
    with pytest.raises(CheckpointError, match="readable supernet but got"):
        load_supernet(tmp_path / "net.pt", CELL)
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("content", [[1], {"a": 1}, {"optuna_nas_supernet": 99}])
def test_another_kind_of_file(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match=r"in format 2 but got another kind of file\.$"):
        load_supernet(tmp_path / "net.pt", CELL)


def test_another_space(tmp_path: Path) -> None:
    save_supernet(make(), tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match="search space `chain` but got one of `cell`"):
        load_supernet(tmp_path / "net.pt", SPACES["chain"][0])


@pytest.mark.parametrize(
    "space",
    [CELL.freeze({"edge_0_1": "none"}), CellSpace(), CellSpace(n_nodes=3, operations=("none",))],
)
def test_other_choices(space: SearchSpace, tmp_path: Path) -> None:
    save_supernet(make(), tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match="does not fit: it has other choices") as caught:
        load_supernet(tmp_path / "net.pt", space)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": {"input_shape": (1, 8, 8), **SMALL, "channels": 8}},
        {"task": {"name": "classification", "arguments": {"num_classes": 4}}},
        {"task": {"name": "classification", "arguments": {"colours": 4}}},
        {"task": {"name": "os:getcwd", "arguments": {}}},
        {"task": None},
        {"arguments": {"channels": 4}},
        {"arguments": {"wrong": 1}},
        {"state": {}},
        {"state": None},
        {"arguments": 3},
        {"choices": 5},
        {"space": None},
    ],
)
def test_contents_that_do_not_fit(change: dict[str, Any], tmp_path: Path) -> None:
    save_supernet(make(), tmp_path / "net.pt")
    content = torch.load(tmp_path / "net.pt")
    torch.save({**content, **change}, tmp_path / "net.pt")
    (tmp_path / "net.pt.sha256").unlink()
    with pytest.raises(CheckpointError):
        load_supernet(tmp_path / "net.pt", CELL)


@pytest.mark.parametrize("key", ["space", "choices", "task", "arguments", "state"])
def test_missing_contents(key: str, tmp_path: Path) -> None:
    save_supernet(make(), tmp_path / "net.pt")
    content = torch.load(tmp_path / "net.pt")
    del content[key]
    torch.save(content, tmp_path / "net.pt")
    (tmp_path / "net.pt.sha256").unlink()
    with pytest.raises(CheckpointError):
        load_supernet(tmp_path / "net.pt", CELL)


class OwnTask(Regression):
    """A task without a name."""


def test_a_kit_and_a_task_without_names(tmp_path: Path) -> None:
    class Cells(CellSpace):
        name = "cells"

    space, task = Cells(n_nodes=3), OwnTask(2)
    kit = Kit(Cells, as_kit("cell").backbone, supernet=as_kit("cell").supernet)
    supernet = build_supernet(space, task, kit=kit, input_shape=(1, 8, 8), **SMALL)
    save_supernet(supernet, tmp_path / "net.pt")
    loaded = load_supernet(tmp_path / "net.pt", space, kit=kit, task=OwnTask)
    assert loaded.task == task
    with pytest.raises(CheckpointError, match="OwnTask to be one of .* or to be given"):
        load_supernet(tmp_path / "net.pt", space, kit=kit)
