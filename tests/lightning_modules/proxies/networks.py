"""Networks of the search spaces, and a small one, to be scored."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch import Tensor

from lightning_modules.registries import PROXIES
from lightning_modules.spaces import as_kit
from lightning_modules.tasks import Classification
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas.spaces import DARTS_V2


CROSS_ENTROPY = nn.functional.cross_entropy
LOSS = ("snip", "grasp", "grad-norm", "fisher")
MEASURED = tuple(name for name in PROXIES if name not in ("params", "macs"))
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
DEAD_END = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
NETWORKS: dict[str, tuple[Architecture, dict[str, Any]]] = {
    "cell": (CellSpace().from_string(CELL), {"channels": 4, "cells_per_stage": 1}),
    "cell with a dead end": (
        CellSpace().from_string(DEAD_END),
        {"channels": 4, "cells_per_stage": 1},
    ),
    "chain": (ChainSpace().from_string("C8k3-Smax2-C8k5-Savg2-O32-O32"), {}),
    "convolutional chain": (ChainSpace().from_string("C8k3-Smax2-C8k5"), {}),
    "mobile": (MobileSpace().complete({"stage_2_depth": 1}), {"dropout": 0.5}),
    "darts": (DartsSpace().from_string(DARTS_V2), {"channels": 4, "cells": 3}),
}


def make(name: str, seed: int = 0) -> nn.Module:
    architecture, arguments = NETWORKS[name]
    torch.manual_seed(seed)
    kit = as_kit(architecture.space)
    backbone = kit.backbone(architecture, input_shape=(1, 16, 16), **arguments)
    return Classification(5).network(backbone)


def make_batch(n: int = 8, size: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(n, 1, size, size, generator=generator)
    return images, torch.randint(5, (n,), generator=generator)


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(16, 5),
    ).double()


def small_batch() -> tuple[Tensor, Tensor]:
    images, labels = make_batch(n=6, size=4)
    return images.double(), labels


def score(name: str, network: nn.Module, inputs: Any, targets: Any = None) -> float:
    """Return the value of one proxy."""
    return PROXIES.get(name)(network, inputs, targets, CROSS_ENTROPY)
