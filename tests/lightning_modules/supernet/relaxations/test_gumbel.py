"""GDAS, FBNet and DARTS of first order: gates and gradients, against references by hand."""

from __future__ import annotations

from collections.abc import Mapping
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules.spaces.cell import CellSupernet
from lightning_modules.supernet import Gate
from lightning_modules.supernet.relaxations import CostFactor
from lightning_modules.supernet.relaxations import Darts
from lightning_modules.supernet.relaxations import FBNet
from lightning_modules.supernet.relaxations import Gdas
from lightning_modules.supernet.relaxations import LatencyFactor
from lightning_modules.supernet.relaxations import LogitRelaxation
from lightning_modules.supernet.relaxations import RELAXATIONS
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


# GDAS.


def test_one_choice_of_a_step_is_that_of_the_largest_noisy_logit() -> None:
    supernet, relaxation = make(Gdas)
    for purpose in (0, 1):
        expected = gumbel_weights(relaxation, 10 - 9.9 * 0.5, purpose)
        for name, gate in relaxation.gates(supernet, STEP, purpose).items():
            assert gate.active == (int(expected[name].argmax()),)
            assert gate.weights is not None
            assert gate.weights.tolist() == [1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_value_is_that_of_the_sampled_path_to_the_last_bit(dtype: torch.dtype) -> None:
    supernet, relaxation = make(Gdas)
    supernet, relaxation, images = (
        supernet.to(dtype),
        relaxation.to(dtype),
        make_batch()[0].to(dtype),
    )
    for number in range(30):
        gates = relaxation.gates(supernet, Step(number, number / 30, 0.1), 1)
        path = {name: Gate(gate.active) for name, gate in gates.items()}
        assert torch.equal(supernet(images, gates), supernet(images, path))


def test_choices_are_as_frequent_as_their_probabilities() -> None:
    supernet, relaxation = make(Gdas)
    n, counts = 3000, {name: np.zeros(5) for name in supernet.choices}
    for number in range(n):
        for name, gate in relaxation.gates(supernet, Step(number, 0.0, 0.1), 0).items():
            counts[name][gate.active[0]] += 1
    for name, p in relaxation.probabilities().items():
        expected = p.detach().numpy()
        error = np.sqrt(expected * (1 - expected) / n)
        assert (np.abs(counts[name] / n - expected) < 4.5 * error).all()


def test_the_gradient_is_that_of_the_softmax() -> None:
    """dL/dlogit_j = dL/dw_i * w_i (delta_ij - w_j) / tau for the sampled choice i."""
    supernet, relaxation = make(Gdas)
    batch, temperature = make_batch(), 10 - 9.9 * 0.5
    relaxation.architecture_step(supernet, batch, make_batch(2), STEP, Tensor.backward)
    soft = gumbel_weights(relaxation, temperature, 1)
    chosen = {name: int(weights.argmax()) for name, weights in soft.items()}

    def loss(name: str, weight: float) -> float:
        gates = {
            n: Gate((i,), torch.tensor([weight if n == name else 1.0], dtype=torch.float64))
            for n, i in chosen.items()
        }
        return float(loss_of(supernet, batch, gates).detach())

    largest = 0.0
    for name, logits in relaxation.logits.items():
        slope = (loss(name, 1 + 1e-5) - loss(name, 1 - 1e-5)) / 2e-5
        w, i = soft[name], chosen[name]
        expected = slope * w[i] * ((np.arange(5) == i) - w) / temperature
        assert logits.grad is not None
        np.testing.assert_allclose(logits.grad.numpy(), expected, rtol=1e-5, atol=1e-9)
        largest = max(largest, float(np.abs(expected).max()))
    assert largest > 1e-4


def test_temperatures_fall_linearly() -> None:
    _, relaxation = make(Gdas)
    assert isinstance(relaxation, Gdas)
    found = [relaxation.temperature(progress) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx([10.0, 7.525, 5.05, 0.1])
    own = Gdas(make(Gdas)[0], temperatures=(4.0, 2.0))
    assert own.temperature(0.5) == pytest.approx(3.0)


# FBNet.


def test_temperatures_fall_exponentially_as_published() -> None:
    _, relaxation = make(FBNet)
    assert isinstance(relaxation, FBNet)
    temperature = 5.0
    for epoch in range(91):
        assert relaxation.temperature(epoch / 90) == pytest.approx(temperature)
        temperature *= math.exp(-0.045)


@pytest.mark.parametrize("purpose", [0, 1])
def test_all_choices_are_weighted_by_a_gumbel_softmax(purpose: int) -> None:
    supernet, relaxation = make(FBNet, temperatures=(4.0, 1.0))
    expected = gumbel_weights(relaxation, 2.0, purpose)
    for name, gate in relaxation.gates(supernet, STEP, purpose).items():
        assert gate.active == (0, 1, 2, 3, 4)
        assert gate.weights is not None
        np.testing.assert_allclose(gate.weights.detach().numpy(), expected[name], rtol=1e-12)


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


@pytest.mark.parametrize("kind", [Gdas, FBNet])
@pytest.mark.parametrize("temperatures", [(0.0, 1.0), (1.0, -1.0), (math.nan, 1.0)])
def test_temperatures_are_above_zero(kind: Any, temperatures: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="`temperatures` to be above 0 but got"):
        make(kind, temperatures=temperatures)


# DARTS.


def test_darts_mixes_by_the_softmax_whatever_the_step() -> None:
    supernet, relaxation = make(Darts)
    for number in (0, 9):
        for name, gate in relaxation.gates(supernet, Step(number, 0.3, 0.1), number).items():
            logits = relaxation.logits[name].detach().numpy()
            assert gate.weights is not None
            np.testing.assert_allclose(
                gate.weights.detach().numpy(), np.exp(logits) / np.exp(logits).sum(), rtol=1e-12
            )


def test_gradient_of_first_order_by_differences() -> None:
    supernet, relaxation = make(Darts)
    batch = make_batch()
    relaxation.architecture_step(supernet, batch, make_batch(2), STEP, Tensor.backward)
    for logits in relaxation.logits.values():
        for i in range(5):
            sides = []
            for sign in (1, -1):
                with torch.no_grad():
                    logits[i] += sign * 1e-5
                sides.append(float(loss_of(supernet, batch, relaxation.gates(supernet, STEP, 1))))
                with torch.no_grad():
                    logits[i] -= sign * 1e-5
            assert logits.grad is not None
            expected = (sides[0] - sides[1]) / 2e-5
            assert float(logits.grad[i]) == pytest.approx(expected, rel=1e-4, abs=1e-8)


# All of them.


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


# Costs.


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


def test_fbnet_multiplies_the_loss_by_each_cost_of_the_sampled_mixture() -> None:
    table = make_table()
    costs = (LatencyFactor(table, alpha=0.3, beta=0.7), CostFactor(first_cost, alpha=2.0))
    supernet, relaxation = make(FBNet, costs=costs)
    batch = make_batch()
    soft = gumbel_weights(relaxation, relaxation.temperature(0.5), 1)  # type: ignore[attr-defined]
    gates = {
        name: Gate((0, 1, 2, 3, 4), torch.from_numpy(weights)) for name, weights in soft.items()
    }
    entropy = float(loss_of(supernet, batch, gates))
    latency = 0.3 * math.log(expected_us(table, soft)) ** 0.7
    other = 2.0 * math.log(3 + 10 * sum(float(w[3]) for w in soft.values())) ** 0.6
    found = relaxation.architecture_step(supernet, batch, make_batch(2), STEP, Tensor.backward)
    assert float(found) == pytest.approx(entropy * latency * other, rel=1e-6)


@pytest.mark.parametrize("name", ["gdas", "fbnet", "darts"])
def test_architecture_steps_without_accuracy_find_the_cheapest(name: str) -> None:
    table = make_table()
    kind: Any = RELAXATIONS.get(name)
    supernet, relaxation = make(kind, costs=(LatencyFactor(table),))
    optimizer = torch.optim.Adam(relaxation.parameters(), lr=0.1)
    before = expected_us(table, relaxation.probabilities())
    for number in range(40):
        optimizer.zero_grad()
        gates = relaxation.gates(supernet, Step(number, 0.5, 0.1), 1)
        weights = relaxation.weights_for_costs(supernet, gates)
        relaxation.costs[0](supernet.decision_probabilities(weights)).backward()
        optimizer.step()
    assert expected_us(table, relaxation.probabilities()) < 0.8 * before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"alpha": 0.0}, "`alpha` to be above 0 but got 0.0"), ({"beta": -1.0}, "`beta` .* -1.0")],
)
def test_wrong_factors(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CostFactor(first_cost, **arguments)
    with pytest.raises(ValueError, match=message):
        LatencyFactor(make_table(), **arguments)


@pytest.mark.parametrize("cost", [1.0, 0.2, -3.0, math.nan])
def test_costs_whose_logarithm_is_not_above_zero(cost: float) -> None:
    factor = CostFactor(lambda _: torch.tensor(cost))
    with pytest.raises(ValueError, match="a cost above 1, in a unit that makes it so"):
        factor({})
