"""Wrong input to the command line: status 2, one sentence, no traceback."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
import re
import sqlite3
from typing import Any

import numpy as np
import optuna
import pytest

from lightning_modules.cli import main
from tests.lightning_modules.training.test_checkpoint import change
from tests.lightning_modules.training.test_checkpoint import of_form
from tests.lightning_modules.training.test_checkpoint import of_task
from tests.lightning_modules.training.test_checkpoint import save


WRONG = [
    (["search", "--data", "nowhere"], "--data to be .* but got 'nowhere'"),
    (["search", "--objectives", "accuracy"], "--objectives to be .* but got accuracy"),
    (["search", "--objectives", "macs", "macs"], "--objectives .* but got macs macs"),
    (["search", "--n-trials", "0"], "--n-trials to be at least 1 but got 0"),
    (["search", "--n-trials", "many"], "--n-trials to be an integer but got 'many'"),
    (["search", "--epochs", "0"], "--epochs to be at least 1 but got 0"),
    (["search", "--final-epochs", "0"], "--final-epochs to be at least 1 but got 0"),
    (["search", "--timeout", "-1"], "--timeout to be above 0 but got -1"),
    (["search", "--threads", "0"], "--threads to be at least 1 but got 0"),
    (["search", "--devices", "two"], "--devices to be a number, .* but got 'two'"),
    (["search", "--output", "text.ckpt"], "--output to be a folder .* but got 'text.ckpt'"),
    (["search", "--tracking-uri", ""], "--tracking-uri to be a URI but got ''"),
    (["search", "--devices", "999"], "--devices to be 1 to"),
    (["search", "--devices", "0,0"], "--devices to be .* but got '0,0'"),
    (["search", "--seed", "-1"], "--seed to be at least 0 but got -1"),
    (["search", "--sampler", "best"], "--sampler to be one of .*genetic, .* but got 'best'"),
    (["search", "--precision", "12"], "--precision to be one of 32-true, .* but got '12'"),
    (["search", "--accelerator", "abacus"], "--accelerator to be .* but got 'abacus'"),
    (["search", "--storage", "foo://bar"], "--storage to be .* 'foo://bar' cannot be opened"),
    (["search", "--storage", "sqlite:////no/such/x.db"], "cannot be opened"),
    (["search", "--space", "nope"], "--space to be one of cell, .* but got 'nope'"),
    (["search", "--space", "nope.py:space"], "there is no file nope.py"),
    (
        ["search", "--space", "os:path"],
        "--space os:path to name a search space .* but got",
    ),
    (["search", "--network.channels", "0"], "`channels` to be at least 1 but got 0"),
    (["search", "--network.colour", "3"], "unexpected keyword argument 'colour'"),
    (
        ["search", "--space", "chain", "--network.channels", "3"],
        "no option --network for the space ch",
    ),
    (["search", "--data", "nasbench201:mnist"], "`dataset` to be .* but got 'mnist'"),
    (["search", "--data", "nasbench201:cifar10", "--space", "chain"], "--space to be cell"),
    (["search", "--data", "nasbench201:cifar10", "--objectives", "macs"], "but got macs"),
    (["search", "--pruner", "best"], "--pruner to be one of none, .* but got 'best'"),
    (
        ["search", "--pruner", "median", "--objectives", "val_accuracy", "params"],
        "--pruner to be none unless there is a single objective .* but got median",
    ),
    (["search", "--screen", "magic"], "--screen to be one of .*synflow, .* but got 'magic'"),
    (["search", "--screen", "params", "--pool", "0"], "--pool to be at least 1 but got 0"),
    (
        ["search", "--latency-table", "text.ckpt"],
        "--latency-table only with latency_ms .* but got 'text.ckpt' for val_accuracy",
    ),
    (
        ["search", "--objectives", "latency_ms", "--latency-table", "text.ckpt"],
        "Expected text.ckpt to be a latency table but it cannot be read",
    ),
    (
        ["search", "--constraint", "latency_ms<=2", "--latency-table", "nowhere.json"],
        "Expected nowhere.json to be a latency table but it cannot be read: No such file",
    ),
    (
        ["search", "--data", "nasbench201:cifar10", "--latency-table", "text.ckpt"],
        "no option --latency-table for nasbench201:cifar10, .* but got 'text.ckpt'",
    ),
    (["search", "--constraint", "params"], "--constraint to be METRIC<=.* but got 'params'"),
    (["search", "--constraint", "params<3"], "but got 'params<3'"),
    (["search", "--constraint", "size<=3"], "a metric of val_accuracy, .* but got 'size<=3'"),
    (["search", "--constraint", "params<=many"], "but got 'params<=many'"),
    (["search", "--constraint", "params<=inf"], "but got 'params<=inf'"),
    (["search", "--constraint", "macs<=1", "macs<=1.0"], "different bounds but got macs<=1 "),
    (["search", "--objectives", "energy_mj"], "an NVIDIA GPU .* but got one on cpu"),
    (["search", "--config", "nowhere.yaml"], "nowhere.yaml"),
    (["search", "--colour", "red"], "unrecognized arguments: --colour"),
    (["search", "--supernet", "magic"], "--supernet to be one of .*fairnas, .* but got 'magic'"),
    (
        ["search", "--supernet", "spos", "--supernet-epochs", "0"],
        "--supernet-epochs to be at least 1 but got 0",
    ),
    (
        ["search", "--supernet", "spos", "--supernet-paths", "1"],
        "--supernet-paths to be at least 2 but got 1",
    ),
    (
        ["search", "--supernet-epochs", "3"],
        "--supernet-epochs only with option --supernet but",
    ),
    (
        ["search", "--supernet-folder", "x"],
        "--supernet-folder only with option --supernet but",
    ),
    (
        ["search", "--supernet", "--supernet-folder", "text.ckpt"],
        "--supernet-folder to be a folder to write in but got 'text.ckpt'",
    ),
    (
        ["search", "--supernet", "--supernet-folder", ""],
        "--supernet-folder to be a folder but got ''",
    ),
    (
        ["search", "--inherit-weights"],
        "--inherit-weights only with option --supernet but",
    ),
    (["search", "--evaluate", "supernet"], "--evaluate only with option --supernet but got"),
    (["search", "--evaluate", "magic"], "--evaluate to be one of training, supernet but got"),
    (
        ["search", "--supernet", "pcdarts", "--inherit-weights"],
        "--inherit-weights with a supernet of whole networks .* option --supernet pcdarts",
    ),
    (
        ["search", "--supernet", "pcdarts", "--evaluate", "supernet"],
        "--evaluate with a supernet of whole networks but got option --supernet pcdarts",
    ),
    (
        ["search", "--supernet", "spos", "--evaluate", "supernet", "--inherit-weights"],
        "--inherit-weights only with trials that are trained but got option --evaluate supernet",
    ),
    (
        ["search", "--supernet", "spos", "--evaluate", "supernet", "--pruner", "median"],
        "--pruner only with trials that are trained but got option --evaluate supernet",
    ),
    (
        ["search", "--supernet", "ofa"],
        "--supernet ofa to suit the space cell but it does not: .* decisions among numbers",
    ),
    (
        ["search", "--supernet", "spos", "--space", "nasnet"],
        "--supernet spos to suit the space nasnet but it does not: ",
    ),
    (
        ["search", "--supernet", "spos", "--space", "own.py:space"],
        "--supernet with a space that has a supernet, .* but got the space own.py:space",
    ),
    (
        ["search", "--data", "nasbench201:cifar10", "--supernet", "spos"],
        "no option --supernet for nasbench201:cifar10, .* but got 'spos'",
    ),
    (["supernet", "--supernet", "none"], "--supernet to be one of .*fairnas, .* got 'none'"),
    (["supernet", "--supernet-proxy", "x"], "--supernet-proxy to be .*synflow, .* but got .*x'"),
    (["supernet", "--supernet-epochs", "0"], "--supernet-epochs to be at least 1 but got 0"),
    (["supernet", "--supernet-epochs", "many"], "--supernet-epochs to be an integer but got"),
    (
        ["supernet", "--space", "own.py:space"],
        "--supernet with a space that .* own.py:space",
    ),
    (
        ["supernet", "--supernet", "pcdarts", "--space", "mobile"],
        r"to suit search space `mobile` but got 'pcdarts', .* no \['partial_channels'\]",
    ),
    (
        ["supernet", "--network.channels", "0"],
        "--space cell with network sizes .* `channels` to be at least 1 but got 0",
    ),
    (["supernet", "--output", "text.ckpt/x"], "--output to be a folder to write in"),
    (["supernet", "--tracking-uri", ""], "--tracking-uri to be a URI but got ''"),
    (["supernet", "--learning-rate", "0"], "--learning-rate to be above 0 but got 0"),
    (["train", "C-C-X"], "but got 'X' in 'C-C-X'"),
    (["train", "C999k3-S"], r"to be one of \[8, 16, 32, 64\] but got 999"),
    (["train", "O-C"], "fully connected layers .* last"),
    (["train", "|none~0|+|none~0|"], "to describe 3 nodes"),
    (["train", "C-S", "--epochs", "0"], "--epochs to be at least 1 but got 0"),
    (["train", "C-S", "--output", "text.ckpt/x"], "--output to be a folder to write in"),
    (["train", "Genotype(normal=[])"], "space darts"),
    (["train", "fbnet|stem16s2|x"], "space mobile"),
    (["train"], "required: architecture"),
    (["show", "--study-name", "nobody"], "'sqlite:///optuna.db' cannot be opened: there is no"),
    (["show", "--storage", "sqlite:///file:no.db?uri=true"], "there is no such file"),
    (["show", "--storage", "sqlite:///file:no.db?mode=rwc&uri=true"], "there is no such file"),
    (["show", "--storage", "sqlite:///no/such.db"], "there is no such file"),
    (["show", "--storage", "sqlite:///text.ckpt"], "file is not a database"),
    (["show", "--storage", "no.log"], "'no.log' cannot be opened: there is no such file"),
    (["search", "--timeout", "soon"], "--timeout to be a number but got 'soon'"),
    (["search", "--network.channels", "x"], "--network.channels to be an integer but got 'x'"),
    (["search", "--network", "3"], "--network to be integers by name but got '3'"),
    (["search", "--config", "wrong.yaml"], "--epochs to be an integer but got 'many'"),
    (["search", "--config", "unknown.yaml"], "colour"),
    (["search", "--config", "broken.yaml"], "parsing"),
    (["search", "--config", "null.yaml"], "--supernet to be text but got null"),
    (["train", "C-S-O", "--config", "null-data.yaml"], "--data to be text but got null"),
    (["search", "--config", "null-list.yaml"], "--screen to be a list but got null"),
    (["search", "--learning-rate", "0"], "--learning-rate to be above 0"),
    (["search", "--space", "exit.py:space"], "importing it failed: SystemExit"),
    (["search", "--storage", "foo://me:secret@host/db"], r"'foo://\*\*\*@host/db' cannot"),
    (["predict", "nothing.ckpt", "x.png"], "nothing.ckpt to be a checkpoint"),
    (["predict", "text.ckpt", "x.png"], "text.ckpt to be"),
    (["fly"], "fly"),
    ([], "subcommand"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=[" ".join(w[0]) for w in WRONG])
def test_wrong_input(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.ckpt").write_text("no checkpoint")
    Path("exit.py").write_text("raise SystemExit")
    Path("own.py").write_text(
        "from optuna.distributions import IntDistribution\n"
        "from torch import nn\n"
        "from optuna_nas import CustomSpace\n"
        "space = CustomSpace({'width': IntDistribution(2, 9)}, build=lambda _: nn.Identity())\n"
    )
    Path("wrong.yaml").write_text("epochs: many\n")
    Path("unknown.yaml").write_text("colour: red\n")
    Path("broken.yaml").write_text("epochs: [\n")
    Path("null.yaml").write_text("supernet: null\nseed: 1\n")
    Path("null-data.yaml").write_text("data: null\n")
    Path("null-list.yaml").write_text("screen: null\n")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("optuna-nas: error: ")
    assert re.search(sentence, line), line
    assert not Path("runs").exists()
    assert not list(Path().glob("*.db"))


def test_wrong_data_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", images=np.zeros((3, 8, 8)))
    assert main(["search", "--data", "data.npz"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "data.npz" in line
    assert "images" in line


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (of_form(std=[0.0]), "`std` to be"),
        (of_form(mean="a"), "`mean` to be"),
        (of_task(num_classes=3, class_names=[1, 2, 3]), "`class_names` to be"),
        ({"task": 3}, "`task` to have a name and arguments but got 3"),
        ({"network": 3}, "`network` to be a dict but got 3"),
    ],
)
def test_damaged_checkpoint_is_one_sentence(
    wrong: dict[str, Any], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, image = tmp_path / "model.ckpt", tmp_path / "x.npy"
    save(checkpoint)
    np.save(image, np.zeros((6, 6), dtype=np.uint8))
    assert main(["predict", str(checkpoint), str(image)]) == 0
    change(checkpoint, **wrong)
    capsys.readouterr()
    assert main(["predict", str(checkpoint), str(image)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert told in line


def test_help_needs_no_torch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--help"]) == 0
    assert "--n-trials" in capsys.readouterr().out


def test_diverged_training_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "C-O", "--epochs", "1", "--learning-rate", "1e30"]) == 2
    out, err = capsys.readouterr()
    assert "for 1 epoch ..." in out
    (line,) = err.splitlines()
    assert re.match("optuna-nas: error: The training diverged", line)
    assert not Path("runs").exists()


def test_show_makes_no_tables_in_the_file_of_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("CREATE TABLE runs (x)")
    before = Path("mlflow.db").read_bytes()
    assert main(["show", "--storage", "sqlite:///mlflow.db"]) == 2
    assert "cannot be opened: there is no study in the file" in capsys.readouterr().err
    assert Path("mlflow.db").read_bytes() == before


def test_show_opens_an_sqlite_uri(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    optuna.create_study(study_name="a", storage="sqlite:///my studies.db")
    assert main(["show", "--storage", "sqlite:///file:my%20studies.db?uri=true"]) == 1
    assert "No trial of a is complete" in capsys.readouterr().out


def test_show_asks_which_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        optuna.create_study(study_name=name, storage="sqlite:///optuna.db")
    assert main(["show"]) == 2
    assert "('a', 'b') but got none" in capsys.readouterr().err
    assert main(["show", "--study-name", "c"]) == 2
    assert "('a', 'b') but got 'c'" in capsys.readouterr().err
    assert main(["show", "--study-name", "b"]) == 1
    assert "No trial of b is complete and feasible (no trials)" in capsys.readouterr().out


def test_study_of_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = "sqlite:///optuna.db"
    search = ["search", "--data", "nasbench201:cifar10", "--n-trials", "1", "--study-name"]
    optuna.create_study(study_name="minimised", storage=storage)
    assert main([*search, "minimised"]) == 2
    assert "directions of val_accuracy" in capsys.readouterr().err
    study = optuna.create_study(study_name="used", storage=storage, direction="maximize")
    study.optimize(lambda trial: 1.0, n_trials=1)
    assert main([*search, "used"]) == 2
    assert "was made by another program" in capsys.readouterr().err


@pytest.mark.parametrize(("code", "status"), [("3", 3), ("", 0), ("'stopped'", 1)])
def test_exit_of_a_users_own_code(
    code: str,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "import sys\n"
        "from optuna.distributions import IntDistribution\n"
        "from optuna_nas import CustomSpace\n"
        "def build(a):\n"
        f"    sys.exit({code})\n"
        "space = CustomSpace({'width': IntDistribution(2, 9)}, build=build)\n"
    )
    assert main(["search", "--space", "mine.py:space"]) == status
    assert capsys.readouterr().err == ("stopped\n" if status == 1 else "")
