"""Paths drawn uniformly."""

from __future__ import annotations

from collections import Counter

import numpy as np
from torch import Tensor

from lightning_modules.supernet.relaxations import SinglePath
from lightning_modules.supernet.relaxations import Step
from tests.lightning_modules.supernet.relaxations.paths import make
from tests.lightning_modules.supernet.relaxations.paths import make_batch


def test_a_uniform_path_a_step() -> None:
    supernet = make()
    relaxation, n = SinglePath(supernet, seed=3), 5000
    paths = [relaxation.architectures(supernet, Step(i, 0.0, 0.1)) for i in range(n)]
    assert all(len(step) == 1 for step in paths)
    counts = Counter(step[0] for step in paths)
    assert len(counts) == 125
    expected = n / 125
    # The mean of chi-squared is its degrees of freedom, and its variance twice as much.
    chi_squared = sum((c - expected) ** 2 / expected for c in counts.values())
    assert abs(chi_squared - 124) < 4.5 * np.sqrt(2 * 124)


def test_a_single_path_trains_its_own_choices_alone() -> None:
    supernet, batch = make(), make_batch()
    relaxation = SinglePath(supernet, seed=2)
    for number in range(10):
        supernet.zero_grad()
        step = Step(number, 0.0, 0.1)
        relaxation.weight_step(supernet, batch, step, Tensor.backward)
        [path] = relaxation.architectures(supernet, step)
        for name, parameter in supernet.named_parameters():
            edge = next((e for e in path if f".{e}." in name), None)
            if edge is not None and f".choices.{path[edge]}." not in name:
                assert parameter.grad is None, name
