"""Data modules in Lightning's trainer and command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any
import warnings

import numpy as np
import pytest
import pytorch_lightning as pl
from pytorch_lightning.cli import LightningCLI
import torch
from torch import nn
from torch import Tensor

from lightning_modules.data import DigitsDataModule


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
