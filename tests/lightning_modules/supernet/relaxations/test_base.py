"""What relaxations with logits have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lightning_modules.spaces.cell import CellSupernet
from lightning_modules.supernet import build_relaxed
from lightning_modules.supernet.relaxations import Darts
from lightning_modules.supernet.relaxations import FBNet
from lightning_modules.supernet.relaxations import Gdas
from lightning_modules.supernet.relaxations import LogitRelaxation
from lightning_modules.supernet.relaxations import Relaxation
from lightning_modules.supernet.relaxations import RELAXATIONS
from lightning_modules.supernet.relaxations import SecondOrderDarts
from lightning_modules.supernet.relaxations import Step
from lightning_modules.tasks import Classification
from tests.lightning_modules.supernet.relaxations.small_cells import loss_of
from tests.lightning_modules.supernet.relaxations.small_cells import make
from tests.lightning_modules.supernet.relaxations.small_cells import make_batch
from tests.lightning_modules.supernet.relaxations.small_cells import SIZES
from tests.lightning_modules.supernet.relaxations.small_cells import SPACE
from tests.lightning_modules.supernet.relaxations.small_cells import STEP


@pytest.mark.parametrize("kind", [FBNet, Darts])
def test_gates_that_cannot_mix_take_one_choice(kind: type[LogitRelaxation]) -> None:
    supernet, relaxation = make(kind)
    supernet.mixable = frozenset(["edge_0_1"])
    gates = relaxation.gates(supernet, STEP, 0)
    assert [len(gate.active) for gate in gates.values()] == [5, 1, 1]
    if kind is Darts:
        for name in ("edge_0_2", "edge_1_2"):
            assert gates[name].active == (int(relaxation.logits[name].argmax()),)
    relaxation.architecture_step(supernet, make_batch(), make_batch(2), STEP, Tensor.backward)
    assert all(logits.grad is not None for logits in relaxation.logits.values())


@pytest.mark.parametrize("kind", [Gdas, FBNet, Darts])
def test_an_architecture_step_gives_gradients_to_all_logits_and_no_weight(
    kind: type[LogitRelaxation],
) -> None:
    supernet, relaxation = make(kind)
    with torch.no_grad():  # All edges of GDAS are zero.
        for logits in relaxation.logits.values():
            logits[supernet.choices["edge_0_1"].index("none")] += 100
    relaxation.architecture_step(supernet, make_batch(), make_batch(2), STEP, Tensor.backward)
    assert all(logits.grad is not None for logits in relaxation.logits.values())
    assert all(p.grad is None and p.requires_grad for p in supernet.parameters())


@pytest.mark.parametrize("kind", [Gdas, FBNet, Darts])
def test_steps_depend_on_seed_and_number_alone(kind: type[LogitRelaxation]) -> None:
    def gates(seed: int, number: int, purpose: int = 0) -> str:
        supernet, relaxation = make(kind, seed=seed)
        torch.rand(number)
        return str(relaxation.gates(supernet, Step(number, 0.5, 0.1), purpose))

    assert gates(1, 5) == gates(1, 5)
    if kind is not Darts:
        different = {gates(1, 5), gates(2, 5), gates(1, 6), gates(1, 5, 1)}
        assert len(different) == 4 if kind is FBNet else len(different) > 1


def test_first_logits_are_small_and_of_the_seed() -> None:
    supernet = CellSupernet(SPACE, Classification(3), **SIZES)
    first, again, other = (Gdas(supernet, seed=seed).state_dict() for seed in (0, 0, 1))
    values = torch.cat(list(first.values()))
    assert values.dtype == torch.float32
    assert 3e-4 < float(values.std()) < 3e-3
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("kind", [Gdas, FBNet, Darts])
def test_weight_steps_leave_the_logits_alone(kind: type[LogitRelaxation]) -> None:
    supernet, relaxation = make(kind)
    gates = relaxation.gates(supernet, STEP, 0)
    expected = torch.autograd.grad(
        loss_of(supernet, make_batch(), gates), supernet.network.head.weight
    )[0]
    loss = relaxation.weight_step(supernet, make_batch(), STEP, Tensor.backward)
    assert not loss.requires_grad
    assert float(loss) == pytest.approx(float(loss_of(supernet, make_batch(), gates)))
    torch.testing.assert_close(supernet.network.head.weight.grad, expected)
    assert all(logits.grad is None for logits in relaxation.logits.values())


# Names.


def test_each_file_is_a_name() -> None:
    assert set(RELAXATIONS) >= {
        *("darts", "darts-second-order", "enas", "fairnas", "fbnet", "gdas", "ofa", "pcdarts"),
        "spos",
    }
    for name in RELAXATIONS:
        kind = RELAXATIONS.get(name)
        assert issubclass(kind, Relaxation)
        assert kind.epochs > 0
    assert Gdas(CellSupernet(SPACE, Classification(3), **SIZES)).name == "gdas"
    assert RELAXATIONS.get("darts-second-order") is SecondOrderDarts


def test_a_relaxation_in_a_file_of_the_users(tmp_path: Path) -> None:
    file = tmp_path / "my_relaxation.py"
    file.write_text(
        "from lightning_modules.supernet.relaxations import SinglePath\n"
        "class Mine(SinglePath):\n"
        "    epochs = 1\n"
    )
    name = f"{file}:Mine"
    supernet, relaxation = build_relaxed(SPACE, Classification(3), name, **SIZES)
    assert relaxation.name == "Mine"
    loss = relaxation.weight_step(supernet.double(), make_batch(), STEP, Tensor.backward)
    assert float(loss) > 0
    assert RELAXATIONS.get(name).epochs == 1
    with pytest.raises(ValueError, match="to name a class of relaxations but got"):
        RELAXATIONS.get(f"{file}:SinglePath.__init__")
