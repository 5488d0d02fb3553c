"""The checkpoint file: its content, and how damage is told."""

from __future__ import annotations

from dataclasses import dataclass
import functools
import hashlib
import math
from pathlib import Path
import re
import shutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from lightning_modules import as_kit
from lightning_modules import Backbone
from lightning_modules import build_chain_backbone
from lightning_modules import build_mobile_backbone
from lightning_modules import CheckpointError
from lightning_modules import Classification
from lightning_modules import describe_build
from lightning_modules import FinishedModel
from lightning_modules import load_checkpoint
from lightning_modules import Regression
from lightning_modules import Task
from lightning_modules import TaskModule
from lightning_modules.spaces import SPACES
from lightning_modules.tasks import task_to_dict
from lightning_modules.training.checkpoint import describe_file
from lightning_modules.training.checkpoint import DESCRIPTION
from lightning_modules.training.checkpoint import save_checkpoint
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace


CHAIN = ChainSpace().from_string("C8k3-Smax2-O32")
BUILD = functools.partial(build_chain_backbone, input_shape=(1, 6, 6))
TASK = Classification(3, ("a", "b", "ä"))
PREPROCESSING = {
    "kind": "images",
    "input_shape": [1, 6, 6],
    "mean": [0.25],
    "std": [0.5],
    "resize": "crop",
}


def save(
    path: Path, datamodule: pl.LightningDataModule | None = None, task: Task = TASK
) -> FinishedModel:
    network = task.network(BUILD(CHAIN)).eval()
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(TaskModule(network, task))
    trainer.datamodule = datamodule  # type: ignore[attr-defined]
    model = FinishedModel(
        network=network,
        architecture=CHAIN,
        task=task,
        preprocessing=PREPROCESSING,
        test_metrics={"test_accuracy": 0.75, "test_loss": 1.5},
        network_info=describe_build(BUILD),
    )
    save_checkpoint(trainer, model, path)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FinishedModel]:
    path = tmp_path_factory.mktemp("saved") / "model.ckpt"
    return path, save(path)


@pytest.fixture
def copied(saved: tuple[Path, FinishedModel], tmp_path: Path) -> Path:
    shutil.copytree(saved[0].parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / saved[0].name


def test_round_trip(saved: tuple[Path, FinishedModel]) -> None:
    path, model = saved
    loaded = load_checkpoint(path)
    for name in ("architecture", "task", "test_metrics", "network_info", "preprocessing"):
        assert getattr(loaded, name) == getattr(model, name), name
    images = torch.randn(5, 1, 6, 6)
    torch.testing.assert_close(loaded.predict(images), model.predict(images))
    assert not loaded.network.training


@pytest.mark.parametrize("task", [Regression(), Regression(2, (1.0, -300.0), (2.0, 0.5))])
def test_round_trip_of_a_regression(task: Regression, tmp_path: Path) -> None:
    model = save(tmp_path / "model.ckpt", task=task)
    loaded = load_checkpoint(tmp_path / "model.ckpt")
    assert loaded.task == task
    images = torch.randn(5, 1, 6, 6)
    assert loaded.predict(images).shape == (5, task.n_outputs)
    torch.testing.assert_close(loaded.predict(images), model.predict(images))


def test_it_is_a_lightning_checkpoint_without_pickled_code(
    saved: tuple[Path, FinishedModel],
) -> None:
    path, model = saved
    content = torch.load(path, weights_only=True)
    assert content[DESCRIPTION]["architecture"] == CHAIN.to_json()
    assert "optimizer_states" not in content
    assert content["hyper_parameters"]["task"] == task_to_dict(TASK)
    module = TaskModule.load_from_checkpoint(path, network=BUILD(CHAIN)).eval()
    assert module.task == TASK
    images = torch.randn(2, 1, 6, 6)
    torch.testing.assert_close(module.predict_step(images), model.predict(images))


def test_digest_has_the_form_of_sha256sum(saved: tuple[Path, FinishedModel]) -> None:
    path, _ = saved
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Path(f"{path}.sha256").read_text() == f"{digest}  model.ckpt\n"


def test_saving_replaces_and_leaves_no_temporary_file(copied: Path) -> None:
    before = copied.read_bytes()
    save(copied)
    assert copied.read_bytes() != before
    load_checkpoint(copied)
    assert len(list(copied.parent.iterdir())) == 2


def test_arguments_of_data_modules_that_are_not_plain_are_left_out(tmp_path: Path) -> None:
    class Data(pl.LightningDataModule):
        def __init__(self, folder: Any) -> None:
            super().__init__()
            self.save_hyperparameters()

    for folder, kept in [("folder", True), (Path("folder"), False)]:
        save(tmp_path / "model.ckpt", Data(folder))
        load_checkpoint(tmp_path / "model.ckpt")
        content = torch.load(tmp_path / "model.ckpt", weights_only=True)
        assert ("datamodule_hyper_parameters" in content) == kept


def test_what_a_module_of_ones_own_puts_into_a_checkpoint(tmp_path: Path) -> None:
    class Module(TaskModule):
        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            checkpoint["folder"] = Path("folder")
            checkpoint["scale"] = torch.ones(2)

    path, network = tmp_path / "model.ckpt", TASK.network(BUILD(CHAIN))
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(Module(network, TASK))
    model = FinishedModel(network.eval(), CHAIN, TASK, None, {}, describe_build(BUILD))
    save_checkpoint(trainer, model, path)
    images = torch.randn(2, 1, 6, 6)
    torch.testing.assert_close(load_checkpoint(path).predict(images), model.predict(images))
    content = torch.load(path, weights_only=True)
    assert "folder" not in content
    assert content["scale"].tolist() == [1, 1]


@dataclass(frozen=True)
class Own(Classification):
    """A task of the user's own, which has no name here."""

    weight: float = 1.0


def test_a_task_of_ones_own_has_to_be_given(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    model = save(path, task=Own(3, weight=2.0))
    assert describe_file(path) == {"task": "Own"}
    with pytest.raises(CheckpointError, match="the task Own to be one of .* or to be given"):
        load_checkpoint(path)
    loaded = load_checkpoint(path, task=Own)
    assert loaded.task == Own(3, weight=2.0)
    images = torch.randn(2, 1, 6, 6)
    torch.testing.assert_close(loaded.predict(images), model.predict(images))


# Damage.


def test_flipped_bits_are_told(copied: Path) -> None:
    content = bytearray(copied.read_bytes())
    content[len(content) // 2] ^= 1
    copied.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"SHA-256 digest in model\.ckpt\.sha256"):
        load_checkpoint(copied)


@pytest.mark.parametrize("digest", ["", "0" * 64 + "  model.ckpt"])
def test_damaged_digests_are_told(copied: Path, digest: str) -> None:
    Path(f"{copied}.sha256").write_text(digest)
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_checkpoint(copied)


def test_without_digest(copied: Path) -> None:
    Path(f"{copied}.sha256").unlink()
    assert load_checkpoint(copied).test_metrics == {"test_accuracy": 0.75, "test_loss": 1.5}
    for damaged in (copied.read_bytes()[:2000], b"", b"text"):
        copied.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="to be a readable checkpoint but got"):
            load_checkpoint(copied)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    with pytest.raises(CheckpointError, match="but got no such file"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="but got no such file"):
        load_checkpoint(tmp_path)
    for content, came in [
        ({"state_dict": {}}, "another kind of file"),
        ([1, 2], "another kind of file"),
        ({DESCRIPTION: {"format": 99}}, "another format"),
        ({DESCRIPTION: {"format": 2}}, "another format"),
    ]:
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=f"format 3 but got {came}"):
            load_checkpoint(path)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return print, ("bomb",)

    torch.save({DESCRIPTION: Bomb()}, tmp_path / "bomb.ckpt")
    with pytest.raises(CheckpointError, match="readable checkpoint"):
        load_checkpoint(tmp_path / "bomb.ckpt")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("architecture", "no JSON"),
        ("preprocessing", PREPROCESSING | {"mean": None}),
        ("preprocessing", PREPROCESSING | {"input_shape": [1, 6]}),
        ("preprocessing", "images"),
        ("network", 3),
        ("task", 3),
        ("task", {"name": "classification"}),
    ],
)
def test_damaged_descriptions(copied: Path, key: str, value: Any) -> None:
    Path(f"{copied}.sha256").unlink()
    content = torch.load(copied, weights_only=True)
    content[DESCRIPTION][key] = value
    torch.save(content, copied)
    with pytest.raises(CheckpointError, match="to hold a network and its weights but got"):
        load_checkpoint(copied)


def change(path: Path, **values: Any) -> None:
    """Write another description, without a digest that would tell."""
    Path(f"{path}.sha256").unlink(missing_ok=True)
    content = torch.load(path, weights_only=True)
    content[DESCRIPTION].update(values)
    torch.save(content, path)


def of_form(**values: Any) -> dict[str, Any]:
    return {"preprocessing": PREPROCESSING | values}


def of_task(name: str = "classification", **arguments: Any) -> dict[str, Any]:
    return {"task": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (of_form(mean=[0.5, 0.5]), r"`mean` to be a finite number for each of the 1 channels .*"),
        (of_form(mean=["a"]), r"`mean` to be .* but got \['a'\]"),
        (of_form(mean="a"), "`mean` to be .* but got 'a'"),
        (of_form(mean=[math.nan]), r"`mean` to be .* but got \[nan\]"),
        (of_form(std=[]), r"`std` to be a finite number above 0 .* but got \[\]"),
        (of_form(std=[0.0]), r"`std` to be .* but got \[0.0\]"),
        (of_form(std=[-1]), r"`std` to be .* but got \[-1\]"),
        (of_form(std=[math.inf]), r"`std` to be .* but got \[inf\]"),
        (of_form(input_shape=[1, 6, 0]), "`input_shape` to be 3 sizes of at least 1 but got"),
        (of_form(input_shape=[1, 60, 60]), "RuntimeError: "),
        (of_form(input_shape=["1", 6, 6]), "`input_shape` to be 3 sizes of at least 1 but got"),
        (of_form(kind="sounds"), "`preprocessing` to have a kind .*images.* but got 'sounds'"),
        (of_form(kind=["images"]), r"`preprocessing` to have a kind .* but got \['images'\]"),
        (of_form(resize="stretch"), "`preprocessing` to have .* but got .*'stretch'"),
        (of_task(num_classes=3, class_names=["a", "b"]), "`class_names` to be 3 names but got 2"),
        (of_task(num_classes=2, class_names=["a", "b"]), r"`head.* shape \(2,.* but got \(3,"),
        (of_task(num_classes=3, class_names=[1, 2, 3]), r"list of texts but got \(1, 2, 3\)"),
        (of_task(num_classes=3, class_names="abc"), "list of texts but got 'abc'"),
        (of_task(num_classes=1), "`num_classes` to be at least 2 but got 1"),
        (of_task(num_classes="3"), "`num_classes` to be at least 2 but got '3'"),
        (of_task(classes=3), "task classification to have the fields .*'classes'"),
        (of_task("sorting"), "task sorting to be one of classification, .* or to be given"),
        (of_task("regression", n_outputs=3, std=[1, 1, 0]), "`std` to be 3 .* above 0 but got"),
        (of_task("regression", n_outputs=2), r"`head.* shape \(2,.* but got \(3,"),
        ({"test_metrics": {"test_accuracy": "good"}}, "`test_metrics` to be numbers .*got .*good"),
        ({"test_metrics": {"test_accuracy": None}}, "`test_metrics` to be numbers .*got .*None"),
        ({"test_metrics": 0.75}, "`test_metrics` to be numbers by name but got 0.75"),
    ],
)
def test_descriptions_that_do_not_fit(copied: Path, values: dict[str, Any], sentence: str) -> None:
    change(copied, **values)
    with pytest.raises(CheckpointError, match="to hold a network and its weights but") as caught:
        load_checkpoint(copied)
    assert re.search(sentence, str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_network_with_another_output_than_its_task(copied: Path) -> None:
    def build(architecture: Architecture) -> nn.Module:
        return TASK.network(BUILD(architecture))  # Not a backbone, so no head is added.

    change(copied, **of_task(num_classes=2))
    with pytest.raises(CheckpointError, match=r"output of shape \(1, 2\) .* but got \(1, 3\)"):
        load_checkpoint(copied, build=build)


@pytest.mark.parametrize("own", [False, True])
def test_oversized_architecture_takes_no_memory(copied: Path, own: bool) -> None:
    """Its weights are 16 TB, which no machine would give."""
    sizes = dict(CHAIN) | {"dense_1_units": 2**37}
    huge = Architecture(CHAIN.space, {k: sizes[k] for k in CHAIN})
    assert huge != CHAIN
    change(copied, architecture=huge.to_json())
    with pytest.raises(
        CheckpointError, match=r"`backbone\.dense.*` to have the shape \(137438953472,"
    ):
        load_checkpoint(copied, build=BUILD if own else None)


def test_network_of_ones_own_that_needs_values(copied: Path) -> None:
    """It cannot be made on the meta device, so it is made at once."""

    def build(architecture: Architecture) -> nn.Module:
        network = BUILD(architecture)
        assert isinstance(network, Backbone)
        network.mean_weight = sum(p.mean().item() for p in network.parameters())
        network.register_buffer("ones", torch.ones(1), persistent=False)
        return network

    loaded = load_checkpoint(copied, build=build)
    assert loaded.network.backbone.ones.item() == 1  # type: ignore[union-attr, operator]
    assert loaded.predict(torch.randn(2, 1, 6, 6)).shape == (2, 3)


@pytest.mark.parametrize("name", ["cell", "chain", "darts", "mobile"])
def test_networks_of_every_space_come_back(name: str, tmp_path: Path) -> None:
    space = {space.name: space for space in (CellSpace(), DartsSpace(), MobileSpace())}
    architecture = CHAIN if name == "chain" else space[name].sample(np.random.default_rng(0))
    small = {"cell": {"channels": 2, "cells_per_stage": 1}, "darts": {"channels": 4, "cells": 3}}
    build = as_kit(name).builder(input_shape=(3, 32, 32), **small.get(name, {}))
    task = Classification(4, tuple("abcd"))
    network = task.network(build(architecture)).eval()
    images = torch.randn(2, 3, 32, 32)
    path = tmp_path / "model.ckpt"
    sizes = {"input_shape": [3, 32, 32], "mean": [0.0] * 3, "std": [1.0] * 3}
    model = FinishedModel(
        network=network,
        architecture=architecture,
        task=task,
        preprocessing={"kind": "images", **sizes},
        test_metrics={"test_accuracy": 0.5},
        network_info=describe_build(build),
    )
    assert model.network_info["space"] == name
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(TaskModule(network, task))
    save_checkpoint(trainer, model, path)
    torch.testing.assert_close(load_checkpoint(path).predict(images), model.predict(images))


def test_weights_of_another_network(saved: tuple[Path, FinishedModel]) -> None:
    with pytest.raises(CheckpointError, match="to hold a network and its weights but got"):
        load_checkpoint(saved[0], build=lambda architecture: nn.Linear(3, 3))


def test_describe_build() -> None:
    described = {"space": "chain", "arguments": {"input_shape": [1, 6, 6]}}
    assert describe_build(BUILD) == described
    assert describe_build(TASK.builder(BUILD)) == described
    assert describe_build(lambda architecture: nn.Identity()) == {}
    assert describe_build(functools.partial(nn.Linear, 3)) == {}
    assert describe_build(functools.partial(build_chain_backbone, CHAIN)) == {}
    # Not of one of the spaces that are variations of it.
    assert describe_build(functools.partial(build_mobile_backbone))["space"] == "mobile"


def test_what_cannot_be_imported_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise ImportError("broken")

    entry = SimpleNamespace(load=fail, module="no.such.module")
    monkeypatch.setattr(SPACES, "_entry_points", {"a-broken-space": entry})
    assert describe_build(BUILD)["space"] == "chain"


def test_what_a_file_asks_for(copied: Path, tmp_path: Path) -> None:
    assert describe_file(copied) == {}
    change(copied, network={"space": "f.py:SPACE"}, **of_task("Ranking"))
    assert describe_file(copied) == {"space": "f.py:SPACE", "task": "Ranking"}
    change(copied, task=None, module="m:Module")
    assert describe_file(copied) == {"space": "f.py:SPACE", "module": "m:Module"}
    assert describe_file(tmp_path / "gone.ckpt") == {}


@pytest.mark.parametrize(
    "values", [{"network": 3}, {"task": 3}, {"task": {"arguments": {}}}, {"preprocessing": 3}]
)
def test_a_damaged_file_asks_for_nothing(copied: Path, values: dict[str, Any]) -> None:
    change(copied, **values)
    assert describe_file(copied) == {}
    with pytest.raises(CheckpointError, match=f"`{next(iter(values))}` to .* but got"):
        load_checkpoint(copied)
