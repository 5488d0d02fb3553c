"""A supernet in which the path of one cell has been trained."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

from lightning_modules import build_cell_backbone
from lightning_modules.data import DigitsDataModule
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Supernet
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace


SPACE = CellSpace()
SIZES: dict[str, Any] = {"channels": 4, "cells_per_stage": 1, "stages": 1}
SHAPE: dict[str, Any] = {"input_shape": (1, 8, 8)}
BUILD = functools.partial(build_cell_backbone, **SHAPE, **SIZES)
CELL = SPACE.from_string(
    "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
)


def train(network: nn.Module, data: DigitsDataModule) -> None:
    """Train a network for ten epochs, in a few lines."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(10):
        for images, labels in data.train_dataloader():
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()


def trained_supernet(data: DigitsDataModule) -> Supernet:
    """A supernet in which the path of one cell has been trained."""
    torch.manual_seed(0)
    supernet = build_supernet(SPACE, Classification(10), **SHAPE, **SIZES)
    path = supernet.path(CELL)

    class Path(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.supernet = supernet

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.supernet(images, path)
            return logits

    train(Path().train(), data)
    return supernet
