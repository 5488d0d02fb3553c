"""The common base of the data modules, on a made-up data set."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import copy
import json
from pathlib import Path
import pickle
from typing import Any
import warnings

import numpy as np
import pytest
import pytorch_lightning as pl
from pytorch_lightning.cli import LightningCLI
import torch
from torch import nn
from torch import Tensor

from lightning_modules.data import DataError
from lightning_modules.data import DigitsDataModule
from lightning_modules.data import ImageDataModule
from lightning_modules.data import SearchData
from lightning_modules.data import Split
from lightning_modules.data import TrainingBatch


class ColorDataModule(ImageDataModule):
    """Three channels of different scale; each image holds its own number in the last one."""

    n_train = 41
    n_search_reads = 0
    n_test_reads = 0

    def _make(self, start: int, n: int, shift: float) -> Split:
        generator = torch.Generator().manual_seed(start)
        images = torch.rand(n, 3, 6, 5, generator=generator) + shift
        images[:, 1] = 0.1  # A constant channel.
        images[:, 2] = torch.arange(start, start + n)[:, None, None]
        return Split(images, torch.arange(n) % 2)

    def read_search_data(self) -> SearchData:
        self.n_search_reads += 1
        return SearchData(self._make(0, self.n_train, 0), self._make(100, 10, 5), ["even", "odd"])

    def read_test_data(self) -> Split:
        self.n_test_reads += 1
        return self._make(200, 6, 9)


def _all(loader: Any) -> tuple[Tensor, Tensor]:
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


def _numbers(data: ImageDataModule, loader: Any) -> list[int]:
    images, _ = _all(loader)
    return (images[:, 2, 0, 0] * data.std[2] + data.mean[2]).round().int().tolist()


class TestNormalisation:
    def test_training_split_alone_gives_the_statistics(self) -> None:
        data = ColorDataModule()
        images, _ = _all(ColorDataModule(batch_size=41).train_dataloader())
        raw = data.read_search_data().train.inputs.double()
        assert data.mean == pytest.approx(raw.mean(dim=(0, 2, 3)).tolist(), rel=1e-5)
        assert data.std[0] == pytest.approx(raw[:, 0].std(correction=0).item(), rel=1e-5)
        assert data.std[1] == 1  # Not the rounding error of a constant channel.
        assert images.mean(dim=(0, 2, 3)).abs().max() < 1e-5
        assert images.std(dim=(0, 2, 3), correction=0).tolist() == pytest.approx([1, 0, 1])

    def test_validation_and_test_are_shifted_by_the_training_mean(self) -> None:
        data = ColorDataModule()
        data.setup("test")
        validation, _ = _all(data.val_dataloader())
        test, _ = _all(data.test_dataloader())
        assert (validation[:, 0] * data.std[0] + data.mean[0]).mean().item() > 5
        assert (test[:, 0] * data.std[0] + data.mean[0]).mean().item() > 9

    def test_fraction_and_validation_leave_the_statistics_alone(self) -> None:
        data = ColorDataModule(train_fraction=0.3, train_on_validation=True)
        assert data.mean == ColorDataModule().mean
        assert data.std == ColorDataModule().std


class TestStages:
    def test_test_split_is_not_read_before_stage_test(self) -> None:
        data = ColorDataModule()
        for stage in ("fit", "validate", "predict"):
            data.setup(stage)
        data.describe()
        assert data.n_test_reads == 0
        with pytest.raises(RuntimeError, match=r'call of `setup\("test"\)` before'):
            data.test_dataloader()
        data.setup("test")
        data.setup("test")
        assert data.n_test_reads == 1
        assert _numbers(data, data.test_dataloader()) == list(range(200, 206))

    def test_train_on_validation(self) -> None:
        data = ColorDataModule(train_on_validation=True, batch_size=51)
        assert sorted(_numbers(data, data.train_dataloader())) == [
            *range(41),
            *range(100, 110),
        ]
        assert data.val_dataloader() == []

    def test_parallel_threads_read_once(self) -> None:
        data = ColorDataModule()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: data.setup("fit"), range(8)))
        assert data.n_search_reads == 1


class TestLoaders:
    def test_order_depends_on_seed_and_epoch_alone(self) -> None:
        def orders(data: ImageDataModule) -> list[list[int]]:
            loader = data.train_dataloader()
            return [_numbers(data, loader) for _ in range(3)]

        data = ColorDataModule(seed=3, batch_size=8)
        first = orders(data)
        torch.manual_seed(99)
        assert orders(data) == first == orders(ColorDataModule(seed=3, batch_size=8))
        assert orders(ColorDataModule(seed=4, batch_size=8)) != first
        assert first[0] != first[1] != first[2]

        loader = data.train_dataloader()
        loader.sampler.set_epoch(2)  # type: ignore[attr-defined]
        assert _numbers(data, loader) == first[2]

    @pytest.mark.parametrize(
        ("batch_size", "sizes"),
        [(8, [8] * 5), (13, [13, 13, 13, 2]), (41, [41]), (50, [41]), (1, [1] * 41)],
    )
    def test_only_a_last_batch_of_one_is_dropped(self, batch_size: int, sizes: list[int]) -> None:
        loader = ColorDataModule(batch_size=batch_size).train_dataloader()
        batches = list(loader)
        assert [len(labels) for _, labels in batches] == sizes
        assert len(loader) == len(sizes)
        assert all(isinstance(batch, TrainingBatch) for batch in batches)

    def test_evaluation_keeps_every_image_in_order(self) -> None:
        data = ColorDataModule(eval_batch_size=3)
        loader = data.val_dataloader()
        assert [len(labels) for _, labels in loader] == [3, 3, 3, 1]
        assert _numbers(data, loader) == list(range(100, 110))

    def test_labels_stay_with_their_images(self) -> None:
        data = ColorDataModule(batch_size=4)
        _, labels = _all(data.train_dataloader())
        numbers = _numbers(data, data.train_dataloader())
        assert labels.tolist() == [number % 2 for number in numbers]

    def test_global_generators_stay_untouched(self) -> None:
        torch.manual_seed(0)
        before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        data = DigitsDataModule(crop_padding=1, horizontal_flip=True, train_fraction=0.5)
        data.setup("test")
        for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
            for batch in loader:
                data.on_after_batch_transfer(batch, 0)
        assert torch.equal(torch.get_rng_state(), before)
        assert np.random.get_state()[1].tolist() == numpy_before  # noqa: NPY002


class TestPlainData:
    def test_description_and_hyperparameters_are_json(self) -> None:
        data = DigitsDataModule(batch_size=64, seed=5)
        description = data.describe()
        assert json.loads(json.dumps(description)) == description
        assert description["data_module"] == "DigitsDataModule"
        assert description["arguments"] == dict(data.hparams)
        assert data.hparams["batch_size"] == 64
        assert data.hparams["train_on_validation"] is False
        assert DigitsDataModule(**data.hparams).hparams == data.hparams

    def test_train_on_validation_set_on_a_copy(self) -> None:
        data = ColorDataModule(batch_size=8)
        data.setup("fit")
        twin = copy.copy(data)
        twin.train_on_validation = True
        assert len(_numbers(twin, twin.train_dataloader())) == 51
        assert len(_numbers(data, data.train_dataloader())) == 40  # The last batch has one image.
        assert twin.describe()["arguments"]["train_on_validation"] is True
        assert data.describe()["arguments"]["train_on_validation"] is False

    def test_copies_share_tensors_and_pickle(self) -> None:
        data = ColorDataModule(crop_padding=1)
        data.setup("fit")
        loader = data.train_dataloader()
        twin = copy.copy(data)
        assert twin.train_dataloader().dataset.inputs is loader.dataset.inputs  # type: ignore[attr-defined]
        restored = pickle.loads(pickle.dumps(data))
        assert torch.equal(_all(restored.val_dataloader())[0], _all(data.val_dataloader())[0])


class TestErrors:
    @pytest.mark.parametrize(
        ("images", "labels", "message"),
        [
            (torch.zeros(4, 6, 5), torch.zeros(4).long(), r"of shape \(n, channels, height"),
            (
                torch.zeros(4, 3, 6, 5).double(),
                torch.zeros(4).long(),
                "float32 or uint8 .* but got torch.float64",
            ),
            (
                torch.zeros(0, 3, 6, 5),
                torch.zeros(0).long(),
                "images to be float32 or uint8 of shape",
            ),
            (
                torch.zeros(4, 3, 5, 5),
                torch.zeros(4).long(),
                r"training images' shape \(3, 6, 5\)",
            ),
            (torch.zeros(4, 3, 6, 5), torch.zeros(3).long(), "one for each image, but got"),
            (torch.zeros(4, 3, 6, 5), torch.zeros(4), "labels to be int64"),
            (torch.zeros(4, 3, 6, 5), torch.arange(4), r"in \[0, 2\) but got 0 to 3"),
            (
                torch.full((4, 3, 6, 5), torch.nan),
                torch.zeros(4).long(),
                "but got NaN or infinity",
            ),
            (
                torch.full((4, 3, 6, 5), torch.inf),
                torch.zeros(4).long(),
                "but got NaN or infinity",
            ),
        ],
    )
    @pytest.mark.parametrize("name", ["validation", "test"])
    def test_split(
        self,
        name: str,
        images: Tensor,
        labels: Tensor,
        message: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        data = ColorDataModule()
        made = data.read_search_data()
        bad = Split(images, labels)
        if name == "validation":
            search = SearchData(made.train, bad, made.class_names)
            monkeypatch.setattr(data, "read_search_data", lambda: search)
        else:
            monkeypatch.setattr(data, "read_test_data", lambda: bad)
        with pytest.raises(DataError, match=f"Expected the {name} .*{message}"):
            data.setup("test")

    def test_one_class(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = ColorDataModule()
        made = data.read_search_data()
        search = SearchData(made.train, made.validation, ["all"])
        monkeypatch.setattr(data, "read_search_data", lambda: search)
        with pytest.raises(DataError, match="at least 2 classes but got"):
            data.setup("fit")


class Linear(pl.LightningModule):
    """A linear classifier that keeps the sizes and the order of its batches."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(int(np.prod(input_shape)), num_classes)
        self.first_labels: list[list[int]] = []
        self.batches: dict[str, list[int]] = {"train": [], "val": [], "test": []}

    def _step(self, stage: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        self.batches[stage].append(len(labels))
        return nn.functional.cross_entropy(self.layer(images.flatten(1)), labels)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        if batch_idx == 0:
            self.first_labels.append(batch[1].tolist())
        return self._step("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._step("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._step("test", batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def _trainer(epochs: int = 1, **kwargs: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **kwargs,
    )


class TestTrainer:
    """In Lightning's trainer and command line."""

    def test_fit_and_test_without_warnings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Lightning hints at workers only where there are processors for them.
        connector = "pytorch_lightning.trainer.connectors.data_connector"
        monkeypatch.setattr(f"{connector}.suggested_max_num_workers", lambda _: 8)
        data = DigitsDataModule(crop_padding=1)
        model = Linear(data.input_shape, len(data.class_names))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _trainer().fit(model, data)
            _trainer().test(model, data, verbose=False)
            _trainer().fit(model, DigitsDataModule(train_on_validation=True))
        ours = [str(item.message) for item in caught if "LeafSpec" not in str(item.message)]
        assert ours == []
        assert sum(model.batches["train"]) == 1079 + 1079 + 359
        assert sum(model.batches["val"]) == sum(model.batches["test"]) == 359

    @pytest.mark.parametrize("kwargs", [{}, {"reload_dataloaders_every_n_epochs": 1}])
    def test_epochs_are_shuffled_alike_in_every_trial(self, kwargs: dict[str, int]) -> None:
        data = DigitsDataModule(train_fraction=0.1)
        orders = []
        for _ in range(2):
            model = Linear(data.input_shape, len(data.class_names))
            _trainer(epochs=3, **kwargs).fit(model, data)
            orders.append(model.first_labels)
        assert orders[0] == orders[1]
        assert orders[0][0] != orders[0][1] != orders[0][2]
        loader = data.train_dataloader()
        assert [next(iter(loader))[1].tolist() for _ in range(3)] == orders[0]

    def test_command_line_links_facts_to_the_module(self, tmp_path: Path) -> None:
        class CLI(LightningCLI):
            def add_arguments_to_parser(self, parser: Any) -> None:
                parser.link_arguments(
                    "data.input_shape", "model.input_shape", apply_on="instantiate"
                )
                parser.link_arguments(
                    "data.class_names", "model.num_classes", len, apply_on="instantiate"
                )

        args = ["--data.batch_size=32", f"--trainer.default_root_dir={tmp_path}"]
        cli = CLI(Linear, DigitsDataModule, run=False, args=args, save_config_callback=None)
        assert cli.datamodule.hparams["batch_size"] == 32
        assert cli.model.layer.in_features == 64
        assert cli.model.layer.out_features == 10
