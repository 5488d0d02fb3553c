"""Lightning's command line, and the module that it makes from a string."""

from __future__ import annotations

import os
from pathlib import Path
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

from lightning_modules import __main__ as command_line
from lightning_modules import ArchitectureModule
from lightning_modules import Classification
from lightning_modules import Regression


pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's, of loggers and jsonargparse.

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
QUICK = (
    "--data=DigitsDataModule",
    "--data.train_fraction=0.2",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning_modules"])
    return tmp_path


def run_process(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lightning_modules", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(command_line.__file__).parents[1])},
    )


@pytest.mark.slow
def test_as_a_process(folder: Path) -> None:
    fitted = run_process("fit", "--model.architecture=C-C-S-O", *QUICK, "--trainer.max_epochs=2")
    assert fitted.returncode == 0, fitted.stderr
    assert len(list(folder.rglob("*.ckpt"))) == 1
    wrong = run_process("fit", "--model.architecture=C-X", *QUICK)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    assert "to be the string of an architecture but got 'C-X'" in wrong.stderr


def test_fit_then_test(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model.architecture=C-C-S-O", *QUICK]
    command_line.main(["fit", *words, "--trainer.max_epochs=1"])
    [checkpoint] = folder.rglob("*.ckpt")
    command_line.main(["test", *words, f"--ckpt_path={checkpoint}"])
    assert "test_accuracy" in capsys.readouterr().out


def test_config_can_be_run_again(folder: Path) -> None:
    architecture = [f"--model.architecture={CELL}", "--model.sizes.channels=4"]
    command_line.main(["fit", *architecture, *QUICK, "--trainer.max_epochs=1"])
    [config] = folder.rglob("config.yaml")
    settings = yaml.safe_load(config.read_text())
    assert settings["model"]["architecture"] == CELL
    assert "input_shape" not in settings["model"]  # It comes from the data.
    command_line.main(["fit", f"--config={config}"])
    assert len(list(folder.rglob("config.yaml"))) == 2


def test_checkpoint_alone_makes_the_module(folder: Path) -> None:
    words = [
        f"--model.architecture={CELL}",
        "--model.sizes={channels: 4, cells_per_stage: 1}",
    ]
    command_line.main(["fit", *words, *QUICK, "--trainer.max_epochs=1"])
    [checkpoint] = folder.rglob("*.ckpt")
    module = ArchitectureModule.load_from_checkpoint(checkpoint)
    assert module.task == Classification(10, tuple("0123456789"))
    assert module(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    command_line.main(["validate", *words, *QUICK, f"--ckpt_path={checkpoint}"])


@pytest.mark.parametrize(
    "logger",
    [
        ["--trainer.logger=false"],
        [
            "--trainer.logger=MLFlowLogger",
            "--trainer.logger.tracking_uri=sqlite:///mlflow.db",
            "--trainer.enable_checkpointing=false",
        ],
    ],
)
@pytest.mark.slow
def test_loggers_without_a_folder(folder: Path, logger: list[str]) -> None:
    command_line.main(["fit", "--model.architecture=S", *QUICK, "--trainer.max_epochs=1", *logger])
    assert not list(folder.rglob("config.yaml"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "--model.architecture=C-X"], "to be the string of an architecture but got"),
        (["fit", "--model.architecture=|none~0|"], "of the space cell: Expected argument `text`"),
        (["fit"], "architecture"),
        (
            ["fit", "--model.architecture=C", "--model.sizes.channels=3"],
            "`sizes` to fit",
        ),
        (["fit", "--model.architecture=C", "--model.optimizer=adam"], "`optimizer` to be one of"),
        (["predict", "--model.architecture=C"], "predict_dataloader"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main([*words, *QUICK])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


OWN = """
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset


class Late(pl.LightningDataModule):
    def setup(self, stage):
        self.input_shape, self.num_classes = (1, 4, 4), 2

    def train_dataloader(self):
        samples = TensorDataset(torch.zeros(8, 1, 4, 4), torch.arange(8) % 2)
        return DataLoader(samples, batch_size=4)

    def val_dataloader(self):
        return self.train_dataloader()


class Shapeless(pl.LightningDataModule):
    num_classes = 2


class Taskless(pl.LightningDataModule):
    input_shape = (1, 4, 4)
"""


@pytest.fixture
def own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data modules of the user's own."""
    (folder / "own_data_modules.py").write_text(OWN)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "own_data_modules", raising=False)


@pytest.mark.usefixtures("own")
def test_data_that_tells_its_form_after_its_setup(folder: Path) -> None:
    data = ["--data=own_data_modules.Late", *QUICK[2:]]
    command_line.main(["fit", "--model.architecture=C-S", *data, "--trainer.max_epochs=1"])
    [checkpoint] = folder.rglob("*.ckpt")
    assert ArchitectureModule.load_from_checkpoint(checkpoint).task == Classification(2)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("Shapeless", "Expected option --data to be a data module with .* `input_shape` but got"),
        ("Taskless", "Expected argument `datamodule` to have .*classification"),
    ],
)
def test_data_that_does_not_tell_its_form(
    data: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model.architecture=C", f"--data=own_data_modules.{data}", *QUICK[2:]]
    with pytest.raises(SystemExit) as ended:
        command_line.main(["fit", *words])
    assert ended.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.match(f"error: {message}.* {data}", line), line


@pytest.mark.parametrize("n", [1, 2])
def test_the_data_says_the_task(folder: Path, capsys: pytest.CaptureFixture[str], n: int) -> None:
    targets = np.arange(60.0 * n).reshape(60, n)
    np.savez("data.npz", X=np.zeros((60, 8, 8), np.uint8), y=targets[:, 0] if n == 1 else targets)
    data = ["--data=NpzDataModule", "--data.path=data.npz", *QUICK[2:]]
    words = ["--model.architecture=C-S", *data]
    command_line.main(["fit", *words, "--trainer.max_epochs=1"])
    [checkpoint] = folder.rglob("*.ckpt")
    task = ArchitectureModule.load_from_checkpoint(checkpoint).task
    assert isinstance(task, Regression)
    assert task.n_outputs == n
    command_line.main(["test", *words, f"--ckpt_path={checkpoint}"])
    assert "test_rmse" in capsys.readouterr().out
