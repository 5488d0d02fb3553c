"""A small supernet whose paths are trained, and a batch."""

from __future__ import annotations

from typing import Any

import torch

from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Supernet
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import SearchSpace


CELL = CellSpace(n_nodes=3)
CHAIN = ChainSpace(max_depth=2, filters=(4, 8, 12), kernel_sizes=(3, 5), units=(8,))


def make(space: SearchSpace = CELL) -> Supernet:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"channels": 4, "cells_per_stage": 1, "stages": 1}
    return build_supernet(space, Classification(3), input_shape=(1, 6, 6), **sizes)


def make_batch() -> Samples:
    rng = torch.Generator().manual_seed(1)
    return Samples(torch.randn(6, 1, 6, 6, generator=rng), torch.randint(3, (6,), generator=rng))
