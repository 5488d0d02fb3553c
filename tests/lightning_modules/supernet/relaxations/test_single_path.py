"""Sampled paths: uniform ones, and fair ones that train each choice once a step."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Supernet
from lightning_modules.supernet.relaxations import fair_architectures
from lightning_modules.supernet.relaxations import FairPaths
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import SinglePath
from lightning_modules.supernet.relaxations import Step
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


@pytest.mark.parametrize("kind", [SinglePath, FairPaths])
def test_paths_depend_on_seed_and_step_alone(kind: Any) -> None:
    def paths(seed: int, number: int) -> tuple[Any, ...]:
        torch.rand(number)
        return tuple(kind(supernet, seed=seed).architectures(supernet, Step(number, 0.9, 0.2)))

    supernet = make()
    assert paths(1, 5) == paths(1, 5)
    assert len({paths(1, 5), paths(2, 5), paths(1, 6), paths(2, 6)}) == 4


def test_fair_paths_have_each_choice_exactly_once() -> None:
    supernet = make()
    relaxation, seen = FairPaths(supernet, seed=1), set()
    for number in range(50):
        paths = relaxation.architectures(supernet, Step(number, 0.0, 0.1))
        assert len(paths) == 5
        for name in CELL.distributions:
            assert sorted(str(path[name]) for path in paths) == sorted(CELL.operations)
        seen |= set(paths)
    assert len(seen) > 90  # The permutations are independent, so most of the 125 cells occur.


def test_fair_paths_where_decisions_depend_on_others() -> None:
    rng, distinct = np.random.default_rng(0), 0
    for _ in range(300):
        paths = fair_architectures(CHAIN, rng)
        assert len(paths) == 3  # As many as there are numbers of filters.
        assert all(CHAIN.contains(path) for path in paths)
        assert sorted(int(path["dense_depth"]) for path in paths) == [0, 1, 2]
        for name in ("depth", "layer_1_type"):  # The second permutation is cut short.
            assert sorted(Counter(path[name] for path in paths).values()) == [1, 2]
        filters = [path["layer_1_filters"] for path in paths if path["layer_1_type"] == "conv"]
        assert len(set(filters)) == len(filters)
        distinct += len(filters) == 2
    assert distinct > 100


def test_fair_gradients_add_up() -> None:
    supernet, batch = make(), make_batch()
    relaxation, step = FairPaths(supernet, seed=1), Step(4, 0.0, 0.1)
    losses: list[float] = []
    total = {name: torch.zeros_like(p) for name, p in supernet.named_parameters()}
    for architecture in relaxation.architectures(supernet, step):
        alone = make()
        loss = F.cross_entropy(alone(batch.inputs, alone.path(architecture)), batch.targets)
        loss.backward()
        losses.append(float(loss.detach()))
        for name, parameter in alone.named_parameters():
            if parameter.grad is not None:
                total[name] += parameter.grad
    found = relaxation.weight_step(supernet, batch, step, Tensor.backward)
    assert float(found) == pytest.approx(sum(losses) / 5)
    for name, parameter in supernet.named_parameters():
        grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(grad, total[name], atol=1e-6, rtol=1e-5, msg=name)
    assert float(total["network.head.weight"].abs().max()) > 0


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


def test_validation_takes_a_path_of_the_step() -> None:
    supernet = make()
    for relaxation in (SinglePath(supernet, seed=2), FairPaths(supernet, seed=2)):
        step = Step(3, 0.0, 0.1)
        first = relaxation.architectures(supernet, step)[0]
        assert relaxation.validation_gates(supernet, step) == supernet.path(first)
        assert relaxation.probabilities() == {}
