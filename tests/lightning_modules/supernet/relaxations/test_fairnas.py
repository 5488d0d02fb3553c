"""Fair paths, which train each choice once a step."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.supernet.relaxations import fair_architectures
from lightning_modules.supernet.relaxations import FairPaths
from lightning_modules.supernet.relaxations import SinglePath
from lightning_modules.supernet.relaxations import Step
from tests.lightning_modules.supernet.relaxations.paths import CELL
from tests.lightning_modules.supernet.relaxations.paths import CHAIN
from tests.lightning_modules.supernet.relaxations.paths import make
from tests.lightning_modules.supernet.relaxations.paths import make_batch


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


@pytest.mark.parametrize("kind", [SinglePath, FairPaths])
def test_paths_depend_on_seed_and_step_alone(kind: Any) -> None:
    def paths(seed: int, number: int) -> tuple[Any, ...]:
        torch.rand(number)
        return tuple(kind(supernet, seed=seed).architectures(supernet, Step(number, 0.9, 0.2)))

    supernet = make()
    assert paths(1, 5) == paths(1, 5)
    assert len({paths(1, 5), paths(2, 5), paths(1, 6), paths(2, 6)}) == 4


def test_validation_takes_a_path_of_the_step() -> None:
    supernet = make()
    for relaxation in (SinglePath(supernet, seed=2), FairPaths(supernet, seed=2)):
        step = Step(3, 0.0, 0.1)
        first = relaxation.architectures(supernet, step)[0]
        assert relaxation.validation_gates(supernet, step) == supernet.path(first)
        assert relaxation.probabilities() == {}
