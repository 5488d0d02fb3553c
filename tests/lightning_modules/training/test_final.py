"""Training the finished model: on all data but the test split, which is tested on once."""

from __future__ import annotations

from collections.abc import Mapping
import functools
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
import pytest
from sklearn.metrics import root_mean_squared_error
import torch
from torch import nn

from lightning_modules import build_cell_backbone
from lightning_modules import build_chain_backbone
from lightning_modules import load_checkpoint
from lightning_modules import Regression
from lightning_modules import train_final
from lightning_modules.data import DigitsDataModule
from lightning_modules.data import FolderDataModule
from lightning_modules.data import load_images
from lightning_modules.data import load_new
from lightning_modules.data import NpzDataModule
from lightning_modules.data import Split
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace


CHAIN = ChainSpace().from_string("C16k3-Smax2-O32")
BUILD = functools.partial(build_chain_backbone, input_shape=(1, 8, 8))


class CountingDigits(DigitsDataModule):
    """Digits that count how often the test split is read and how many images are trained on."""

    n_test_reads = 0
    n_batches = 0

    def read_test_data(self) -> Split:
        type(self).n_test_reads += 1
        return super().read_test_data()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        type(self).n_batches += 1
        return super().on_after_batch_transfer(batch, dataloader_idx)


def test_trains_on_everything_and_tests_once(tmp_path: Path) -> None:
    data = CountingDigits()
    model = train_final(BUILD, CHAIN, data, tmp_path / "model.ckpt", max_epochs=5)
    n_train = 1078 + 359  # Training and validation split.
    assert CountingDigits.n_batches == 5 * -(-n_train // 96) + 1
    assert CountingDigits.n_test_reads == 1
    assert not data.train_on_validation  # The caller's data module stays as it is.
    assert set(model.test_metrics) == {"test_accuracy", "test_loss"}
    assert model.test_metrics["test_accuracy"] > 0.9
    assert not model.network.training
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.ckpt", "model.ckpt.sha256"]


def test_test_accuracy_is_that_of_the_saved_network(tmp_path: Path) -> None:
    data = DigitsDataModule()
    train_final(BUILD, CHAIN, data, tmp_path / "model.ckpt", max_epochs=1)
    model = load_checkpoint(tmp_path / "model.ckpt")
    data.setup("test")
    images, labels = data.test_dataloader().dataset[:]
    accuracy = (model.predict(images).argmax(1) == labels).double().mean().item()
    assert model.test_metrics["test_accuracy"] == pytest.approx(accuracy)


@pytest.mark.parametrize("n", [1, 2])
def test_a_regression_is_tested_in_its_units(n: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(size=(100, 1))
    images = level[:, :, None] + 0.1 * rng.normal(size=(100, 8, 8))
    values = 500 + 30 * level * np.ones((1, n))
    np.savez(tmp_path / "data.npz", X=images, y=values[:, 0] if n == 1 else values)
    data = NpzDataModule(tmp_path / "data.npz", batch_size=20)
    train_final(BUILD, CHAIN, data, tmp_path / "model.ckpt", max_epochs=8)
    model = load_checkpoint(tmp_path / "model.ckpt")
    assert model.task == Regression.from_data(data)
    data.setup("test")
    images, targets = map(torch.cat, zip(*data.test_dataloader(), strict=True))
    error = root_mean_squared_error(targets.reshape(-1, n), model.predict(images))
    assert model.test_metrics["test_rmse"] == pytest.approx(error, rel=1e-3)
    assert set(model.test_metrics) == {"test_rmse", "test_mae", "test_r2", "test_loss"}
    assert 0 < error < 20
    # New data is read in the form, and predicted in the units, of the old.
    [(_, new)] = load_new([str(tmp_path / "data.npz")], model.preprocessing or {})
    found = model.predict(new)
    assert found.shape == (100, n)
    assert root_mean_squared_error(values, found) < 20


def test_data_whose_form_nobody_can_read(tmp_path: Path) -> None:
    """What the data calls so may be anything: it must not cost the training's result."""

    class Augmented(DigitsDataModule):
        preprocessing: Any = nn.Identity()

    data = Augmented(train_fraction=0.2)
    model = train_final(BUILD, CHAIN, data, tmp_path / "model.ckpt", max_epochs=1)
    assert model.preprocessing is None
    assert load_checkpoint(tmp_path / "model.ckpt").preprocessing is None


def test_checkpoint_knows_the_form_of_pictures(tmp_path: Path) -> None:
    for label in range(2):
        (tmp_path / "photos" / str(label)).mkdir(parents=True)
        for i in range(6):
            image = Image.new("RGB", (8 + 4 * i, 12), (100 * label, 10 * i, 0))
            image.save(tmp_path / "photos" / str(label) / f"{i}.png")
    data = FolderDataModule(tmp_path / "photos", image_size=(8, 10), resize="crop", batch_size=8)
    build = functools.partial(build_chain_backbone, input_shape=(3, 8, 10))
    train_final(build, CHAIN, data, tmp_path / "model.ckpt", max_epochs=1)
    model = load_checkpoint(tmp_path / "model.ckpt")
    assert model.preprocessing == data.preprocessing
    paths = sorted((tmp_path / "photos").glob("*/*.png"))
    assert model.predict(load_images(paths, model.preprocessing)).shape == (12, 2)


def test_same_seed_same_model(tmp_path: Path) -> None:
    def weights(name: str, **arguments: Any) -> Mapping[str, torch.Tensor]:
        state = torch.get_rng_state()
        data = DigitsDataModule(train_fraction=0.2)
        model = train_final(BUILD, CHAIN, data, tmp_path / name, max_epochs=1, **arguments)
        assert torch.equal(torch.get_rng_state(), state)
        return model.network.state_dict()

    first, again, other = weights("a"), weights("b"), weights("c", seed=1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_cell_comes_back_with_its_arguments(tmp_path: Path) -> None:
    build = functools.partial(
        build_cell_backbone, input_shape=(1, 8, 8), channels=4, cells_per_stage=1
    )
    cell = CellSpace().from_string(
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
    )
    data = DigitsDataModule(train_fraction=0.2)
    model = train_final(build, cell, data, tmp_path / "new" / "cell.ckpt", max_epochs=1)
    loaded = load_checkpoint(tmp_path / "new" / "cell.ckpt")
    assert loaded.architecture == cell
    assert loaded.network_info["arguments"]["channels"] == 4
    images = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(loaded.predict(images), model.predict(images))


def test_builder_of_its_own(tmp_path: Path) -> None:
    def build(architecture: Architecture) -> nn.Module:
        return BUILD(architecture)

    data = DigitsDataModule(train_fraction=0.2)
    info = {"space": "file.py:SPACE"}
    train_final(build, CHAIN, data, tmp_path / "m.ckpt", max_epochs=1, network_info=info)
    with pytest.raises(ValueError, match=r"`build`, as the network in .*file.py:SPACE.* got None"):
        load_checkpoint(tmp_path / "m.ckpt")
    assert load_checkpoint(tmp_path / "m.ckpt", build=build).network_info == info


def test_progress_bar_only_if_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    data = DigitsDataModule(train_fraction=0.2)
    train_final(BUILD, CHAIN, data, tmp_path / "model.ckpt", max_epochs=1)
    assert capfd.readouterr() == ("", "")
    assert [str(warning.message) for warning in recwarn] == []
    train_final(BUILD, CHAIN, data, tmp_path / "model.ckpt", max_epochs=1, progress=True)
    assert "Epoch" in "".join(capfd.readouterr())


def test_errors(tmp_path: Path) -> None:
    data = DigitsDataModule(train_fraction=0.2)
    path = tmp_path / "model.ckpt"
    with pytest.raises(ValueError, match="`max_epochs` to be at least 1 but got 0"):
        train_final(BUILD, CHAIN, data, path, max_epochs=0)
    with pytest.raises(RuntimeError, match="training diverged"):
        train_final(BUILD, CHAIN, data, path, optimizer="sgd", learning_rate=1e30)
    assert list(tmp_path.iterdir()) == []
