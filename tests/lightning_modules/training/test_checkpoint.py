"""The checkpoint file: its content, and how damage is told."""

from __future__ import annotations

import functools
import hashlib
import math
from pathlib import Path
import re
import shutil
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from lightning_modules import build_chain_network
from lightning_modules import BUILDERS
from lightning_modules import CheckpointError
from lightning_modules import describe_build
from lightning_modules import FinishedModel
from lightning_modules import ImageClassifier
from lightning_modules import load_checkpoint
from lightning_modules.training.checkpoint import DESCRIPTION
from lightning_modules.training.checkpoint import save_checkpoint
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace


CHAIN = ChainSpace().from_string("C8k3-Smax2-O32")
BUILD = functools.partial(build_chain_network, input_shape=(1, 6, 6), num_classes=3)


def save(path: Path, datamodule: pl.LightningDataModule | None = None) -> FinishedModel:
    network = BUILD(CHAIN).eval()
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(ImageClassifier(network, num_classes=3))
    trainer.datamodule = datamodule  # type: ignore[attr-defined]
    model = FinishedModel(
        network=network,
        architecture=CHAIN,
        input_shape=(1, 6, 6),
        class_names=["a", "b", "ä"],
        mean=[0.25],
        std=[0.5],
        test_accuracy=0.75,
        network_info=describe_build(BUILD),
        resize="crop",
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
    for name in (
        "architecture",
        "input_shape",
        "class_names",
        "num_classes",
        "mean",
        "std",
        "test_accuracy",
        "network_info",
        "preprocessing",
    ):
        assert getattr(loaded, name) == getattr(model, name), name
    images = torch.randn(5, 1, 6, 6)
    torch.testing.assert_close(loaded.predict(images), model.predict(images))
    assert not loaded.network.training


def test_it_is_a_lightning_checkpoint_without_pickled_code(
    saved: tuple[Path, FinishedModel],
) -> None:
    path, model = saved
    content = torch.load(path, weights_only=True)
    assert content[DESCRIPTION]["architecture"] == CHAIN.to_json()
    assert "optimizer_states" not in content
    classifier = ImageClassifier.load_from_checkpoint(path, network=BUILD(CHAIN)).eval()
    images = torch.randn(2, 1, 6, 6)
    torch.testing.assert_close(classifier.predict_step(images), model.predict(images))


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
    assert load_checkpoint(copied).test_accuracy == 0.75
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
    ]:
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=f"format 2 but got {came}"):
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
    [("architecture", "no JSON"), ("mean", None), ("input_shape", [1, 6]), ("network", 3)],
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


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"mean": [0.5, 0.5]}, r"`mean` to be a finite number for each of the 1 channels .* got"),
        ({"mean": ["a"]}, r"`mean` to be .* but got \['a'\]"),
        ({"mean": "a"}, "`mean` to be .* but got 'a'"),
        ({"mean": [math.nan]}, r"`mean` to be .* but got \[nan\]"),
        ({"std": []}, r"`std` to be a finite number above 0 .* but got \[\]"),
        ({"std": [0.0]}, r"`std` to be .* but got \[0.0\]"),
        ({"std": [-1]}, r"`std` to be .* but got \[-1\]"),
        ({"std": [math.inf]}, r"`std` to be .* but got \[inf\]"),
        ({"class_names": ["a", "b"]}, "`class_names` to be 3 names but got 2"),
        ({"class_names": ["a"], "num_classes": 1}, r"logits of shape \(1, 1\) .* got \(1, 3\)"),
        ({"class_names": [1, 2, 3]}, r"`class_names` to be a list of texts but got \[1, 2, 3\]"),
        ({"class_names": "abc"}, "`class_names` to be a list of texts but got 'abc'"),
        ({"input_shape": [1, 6, 0]}, "`input_shape` to be 3 sizes of at least 1 but got"),
        ({"input_shape": [1, 60, 60]}, "RuntimeError: "),
        ({"input_shape": ["1", 6, 6]}, "`input_shape` to be 3 sizes of at least 1 but got"),
        ({"test_accuracy": "good"}, r"`test_accuracy` to be in \[0, 1\] but got 'good'"),
        ({"test_accuracy": 7.0}, r"`test_accuracy` to be in \[0, 1\] but got 7.0"),
    ],
)
def test_descriptions_that_do_not_fit(copied: Path, values: dict[str, Any], sentence: str) -> None:
    change(copied, **values)
    with pytest.raises(CheckpointError, match="to hold a network and its weights but") as caught:
        load_checkpoint(copied)
    assert re.search(sentence, str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("own", [False, True])
def test_oversized_architecture_takes_no_memory(copied: Path, own: bool) -> None:
    """Its weights are 16 TB, which no machine would give."""
    sizes = dict(CHAIN) | {"dense_1_units": 2**37}
    huge = Architecture(CHAIN.space, {k: sizes[k] for k in CHAIN})
    assert huge != CHAIN
    change(copied, architecture=huge.to_json())
    with pytest.raises(CheckpointError, match=r"`dense.*` to have the shape \(137438953472,"):
        load_checkpoint(copied, build=BUILD if own else None)


def test_network_of_ones_own_that_needs_values(copied: Path) -> None:
    """It cannot be made on the meta device, so it is made at once."""

    def build(architecture: Architecture) -> nn.Module:
        network = BUILD(architecture)
        network.mean_weight = sum(p.mean().item() for p in network.parameters())
        network.register_buffer("ones", torch.ones(1), persistent=False)
        return network

    loaded = load_checkpoint(copied, build=build)
    assert loaded.network.ones.item() == 1
    assert loaded.predict(torch.randn(2, 1, 6, 6)).shape == (2, 3)


@pytest.mark.parametrize("name", ["cell", "chain", "darts", "mobile"])
def test_networks_of_every_space_come_back(name: str, tmp_path: Path) -> None:
    space = {space.name: space for space in (CellSpace(), DartsSpace(), MobileSpace())}
    architecture = CHAIN if name == "chain" else space[name].sample(np.random.default_rng(0))
    small = {"cell": {"channels": 2, "cells_per_stage": 1}, "darts": {"channels": 4, "cells": 3}}
    sizes = {"input_shape": (3, 32, 32), "num_classes": 4, **small.get(name, {})}
    build = functools.partial(BUILDERS[name], **sizes)
    network = build(architecture).eval()
    images = torch.randn(2, 3, 32, 32)
    path = tmp_path / "model.ckpt"
    model = FinishedModel(
        network=network,
        architecture=architecture,
        input_shape=(3, 32, 32),
        class_names=list("abcd"),
        mean=[0.0] * 3,
        std=[1.0] * 3,
        test_accuracy=0.5,
        network_info=describe_build(build),
    )
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(ImageClassifier(network, num_classes=4))
    save_checkpoint(trainer, model, path)
    torch.testing.assert_close(load_checkpoint(path).predict(images), model.predict(images))


def test_weights_of_another_network(saved: tuple[Path, FinishedModel]) -> None:
    with pytest.raises(CheckpointError, match="to hold a network and its weights but got"):
        load_checkpoint(saved[0], build=lambda architecture: nn.Linear(3, 3))


# The model.


def test_predictions_are_probabilities_in_batches(saved: tuple[Path, FinishedModel]) -> None:
    _, model = saved
    images = torch.randn(7, 1, 6, 6)
    probabilities = model.predict(images, batch_size=3)
    assert probabilities.shape == (7, 3)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(7))
    torch.testing.assert_close(probabilities, model.predict(images))
    with pytest.raises(ValueError, match=r"shape \(n, \*\(1, 6, 6\)\) but got \(7, 1, 8, 8\)"):
        model.predict(torch.randn(7, 1, 8, 8))


def test_describe_build() -> None:
    assert describe_build(BUILD) == {
        "builder": "chain",
        "arguments": {"input_shape": [1, 6, 6], "num_classes": 3},
    }
    assert describe_build(lambda architecture: nn.Identity()) == {}
    assert describe_build(functools.partial(nn.Linear, 3)) == {}
