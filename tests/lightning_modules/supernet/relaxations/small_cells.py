"""A supernet of small cells in double precision, and what relaxations compute written out."""

from __future__ import annotations

from collections.abc import Mapping
import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules.spaces.cell import CellSupernet
from lightning_modules.supernet import Gate
from lightning_modules.supernet.relaxations import LogitRelaxation
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace


SPACE = CellSpace(n_nodes=3)
SIZES: dict[str, Any] = {
    "input_shape": (1, 6, 6),
    "channels": 4,
    "cells_per_stage": 1,
    "stages": 1,
}
STEP = Step(7, 0.5, 0.1)


def make(kind: type[LogitRelaxation], **arguments: Any) -> tuple[CellSupernet, LogitRelaxation]:
    """Return both in double precision, with logits that are all of their own."""
    torch.manual_seed(0)
    supernet = CellSupernet(SPACE, Classification(3), **SIZES).double()
    relaxation = kind(supernet, **{"seed": 4, **arguments}).double()
    rng = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for logits in relaxation.logits.values():
            logits.copy_(torch.randn(len(logits), generator=rng, dtype=torch.float64))
    return supernet, relaxation


def make_batch(seed: int = 1) -> Samples:
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(6, 1, 6, 6, generator=rng, dtype=torch.float64)
    return Samples(images, torch.randint(3, (6,), generator=rng))


def gumbel_weights(
    relaxation: LogitRelaxation, temperature: float, purpose: int
) -> dict[str, np.ndarray]:
    """Jang et al., equation 1 and 2: probabilities pi, noise -log(-log u), a softmax."""
    rng = np.random.default_rng((4, 7, purpose))
    found: dict[str, np.ndarray] = {}
    for name, logits in relaxation.logits.items():
        exp = np.exp(logits.detach().numpy())
        scores = (np.log(exp / exp.sum()) + rng.gumbel(size=len(exp))) / temperature
        scores = np.exp(scores - scores.max())
        found[name] = scores / scores.sum()
    return found


def loss_of(supernet: CellSupernet, batch: Samples, gates: Mapping[str, Gate]) -> Tensor:
    return F.cross_entropy(supernet(batch.inputs, gates), batch.targets)


def make_table() -> LatencyTable:
    network = {**SIZES, "task": Classification(3)}
    table = LatencyTable("cell", SPACE.distributions, network, {})
    for number, name in enumerate(sorted({name for _, name in table.operations})):
        table.record(name, Latency(0.3 + 0.17 * number, 0.0))
    return table


def expected_us(table: LatencyTable, probabilities: Mapping[str, Any]) -> float:
    """Return the mean over all 125 cells."""
    total = 0.0
    names = list(SPACE.distributions)
    for choice in itertools.product(range(5), repeat=3):
        weight = math.prod(float(probabilities[n][i]) for n, i in zip(names, choice, strict=True))
        cell = {n: SPACE.operations[i] for n, i in zip(names, choice, strict=True)}
        total += weight * table.predict_ms(SPACE.architecture(cell)) * 1000
    return total


def first_cost(probabilities: Mapping[str, Tensor]) -> Tensor:
    return 3 + 10 * sum(p[3] for p in probabilities.values())  # type: ignore[return-value]
