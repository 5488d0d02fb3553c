import copy
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.data import DigitsDataModule
from lightning_modules.spaces.cell import CellSupernet
from lightning_modules.supernet import SupernetDataModule
from lightning_modules.supernet import SupernetModule
from lightning_modules.supernet.relaxations import Darts
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import SecondOrderDarts
from lightning_modules.supernet.relaxations import Step
from lightning_modules.supernet.relaxations.darts_second_order import difference_product
from lightning_modules.tasks import Classification
from lightning_modules.training.trainer import make_trainer
from optuna_nas import CellSpace


STEP = Step(3, 0.5, 0.3)


def make_supernet(**arguments: object) -> CellSupernet:
    torch.manual_seed(0)
    sizes = {"input_shape": (1, 6, 6), "channels": 4}
    supernet = CellSupernet(
        CellSpace(), Classification(3), **sizes, cells_per_stage=1, stages=1, **arguments
    )
    return supernet.double()


def make_batch(seed: int, n: int = 8) -> Samples:
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 1, 6, 6, generator=rng, dtype=torch.float64)
    return Samples(images, torch.randint(3, (n,), generator=rng))


def cost(probabilities: dict[str, Tensor]) -> Tensor:
    return 1 + sum((p * torch.arange(len(p)).to(p)).sum() for p in probabilities.values()) / 10


def make_relaxation(supernet: CellSupernet, **arguments: object) -> SecondOrderDarts:
    relaxation = SecondOrderDarts(supernet, **arguments).double()
    rng = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for logits in relaxation.logits.values():
            logits.copy_(torch.randn(len(logits), generator=rng, dtype=torch.float64))
    return relaxation


def gradient(relaxation: SecondOrderDarts, supernet: CellSupernet, step: Step = STEP) -> Tensor:
    relaxation.zero_grad()
    relaxation.architecture_step(supernet, make_batch(1), make_batch(2), step, Tensor.backward)
    return torch.cat([logits.grad for logits in relaxation.logits.values()])


def unrolled_loss(
    relaxation: SecondOrderDarts, supernet: CellSupernet, learning_rate: float
) -> float:
    """The objective in plain words: train a copy by one step of SGD and look at its loss."""
    trained = copy.deepcopy(supernet)
    optimizer = torch.optim.SGD(trained.parameters(), lr=learning_rate)
    gates = relaxation.gates(trained, STEP, 0)
    train, val = make_batch(2), make_batch(1)
    F.cross_entropy(trained(train.inputs, gates), train.targets).backward()
    optimizer.step()
    loss = F.cross_entropy(trained(val.inputs, gates), val.targets)
    for factor in relaxation.costs:
        loss = loss * factor(relaxation.probabilities())
    return float(loss.detach())


@pytest.mark.parametrize("costs", [(), (cost,)])
def test_exact_gradient_is_the_derivative_of_the_unrolled_loss(costs: tuple) -> None:
    supernet = make_supernet()
    relaxation = make_relaxation(supernet, costs=costs)
    found = gradient(relaxation, supernet)
    epsilon, numerical = 1e-5, []
    for logits in relaxation.logits.values():
        for i in range(len(logits)):
            sides = []
            for sign in (1, -1):
                with torch.no_grad():
                    logits[i] += sign * epsilon
                sides.append(unrolled_loss(relaxation, supernet, STEP.learning_rate))
                with torch.no_grad():
                    logits[i] -= sign * epsilon
            numerical.append((sides[0] - sides[1]) / (2 * epsilon))
    expected = torch.tensor(numerical, dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_second_order_term_is_not_negligible_here() -> None:
    supernet = make_supernet()
    relaxation = make_relaxation(supernet)
    first = gradient(relaxation, supernet, STEP._replace(learning_rate=0.0))
    assert (gradient(relaxation, supernet) - first).norm() > 0.05 * first.norm()


def test_methods_agree_where_no_relu_changes_sign() -> None:
    supernet = make_supernet()
    exact = gradient(make_relaxation(supernet), supernet)
    relaxation = make_relaxation(supernet, method="finite-difference", radius=1e-5)
    assert (gradient(relaxation, supernet) - exact).norm() < 1e-7 * exact.norm()


def test_methods_agree_at_the_published_radius(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "relu", F.softplus)
    supernet = make_supernet()
    exact = gradient(make_relaxation(supernet), supernet)
    first = gradient(make_relaxation(supernet), supernet, STEP._replace(learning_rate=0.0))
    found = gradient(make_relaxation(supernet, method="finite-difference"), supernet)
    assert (found - exact).norm() < 1e-4 * exact.norm()
    assert (found - exact).norm() < 1e-2 * (first - exact).norm()


@pytest.mark.parametrize("method", ["exact", "finite-difference"])
def test_without_learning_rate_it_is_first_order(method: str) -> None:
    supernet = make_supernet()
    relaxation = make_relaxation(supernet, method=method)
    found = gradient(relaxation, supernet, STEP._replace(learning_rate=0.0))
    first_order = Darts(supernet).double()
    first_order.load_state_dict(relaxation.state_dict())
    expected = gradient(first_order, supernet)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", ["exact", "finite-difference"])
def test_supernet_is_left_as_it_was(method: str) -> None:
    supernet = make_supernet()
    before = copy.deepcopy(supernet.state_dict())
    relaxation = make_relaxation(supernet, method=method)
    loss = relaxation.architecture_step(
        supernet, make_batch(1), make_batch(2), STEP, Tensor.backward
    )
    assert not loss.requires_grad
    assert float(loss) == pytest.approx(unrolled_loss(relaxation, supernet, 0.3), rel=1e-9)
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(p.grad is None for p in supernet.parameters())
    assert supernet.training


@pytest.mark.parametrize("method", ["exact", "finite-difference"])
def test_gates_of_one_choice_each(method: str) -> None:
    supernet = make_supernet()
    supernet.mixable = frozenset()
    exact = gradient(make_relaxation(supernet), supernet)
    found = gradient(make_relaxation(supernet, method=method, radius=1e-5), supernet)
    assert (found - exact).norm() < 1e-6 * exact.norm()
    assert exact.isfinite().all()


def test_difference_product_of_a_quadratic_is_exact() -> None:
    mixed = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
    vector = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
    found = difference_product(lambda w: [mixed @ w[0]], [torch.ones_like(vector)], [vector], 0.01)
    torch.testing.assert_close(found[0], mixed @ vector)


def test_difference_product_of_a_zero_vector() -> None:
    found = difference_product(
        lambda w: [w[0].sum()[None]], [torch.ones(3)], [torch.zeros(3)], 1.0
    )
    assert found[0].tolist() == [0.0]


def test_unknown_method() -> None:
    with pytest.raises(ValueError, match=r"Expected argument `method` .* but got 'third-order'"):
        SecondOrderDarts(make_supernet(), method="third-order")


def test_radius_has_to_be_positive() -> None:
    with pytest.raises(ValueError, match=r"Expected argument `radius` to be above 0 but got 0"):
        SecondOrderDarts(make_supernet(), radius=0)


@pytest.mark.parametrize("method", ["exact", "finite-difference"])
def test_gradients_come_from_the_given_backward(method: str) -> None:
    """So that mixed precision can scale them, and several processes average them."""
    supernet = make_supernet()
    relaxation = make_relaxation(supernet, method=method)
    expected = gradient(relaxation, supernet)
    relaxation.zero_grad()
    batches = make_batch(1), make_batch(2)
    relaxation.architecture_step(supernet, *batches, STEP, lambda loss: None)
    assert all(logits.grad is None for logits in relaxation.logits.values())
    relaxation.architecture_step(supernet, *batches, STEP, lambda loss: (8 * loss).backward())
    found = torch.cat([logits.grad for logits in relaxation.logits.values()])
    torch.testing.assert_close(found, 8 * expected)


def test_in_a_trainer(tmp_path: Path) -> None:
    """One step of the trainer is an architecture step of Adam at the weights from before."""
    torch.manual_seed(0)
    sizes = {"input_shape": (1, 8, 8), "channels": 4}
    supernet = CellSupernet(
        CellSpace(n_nodes=3), Classification(10), **sizes, cells_per_stage=1, stages=1
    )
    relaxation = SecondOrderDarts(supernet)
    before, twin = copy.deepcopy(supernet), copy.deepcopy(relaxation)
    data = SupernetDataModule(DigitsDataModule(batch_size=16))
    module = SupernetModule(supernet, relaxation, learning_rate=0.1, architecture_weight_decay=0.0)
    kept = []

    class Keep(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
            kept.append(batch)

    trainer = make_trainer(
        max_epochs=1,
        limit_train_batches=1,
        limit_val_batches=0,
        accelerator="cpu",
        callbacks=[Keep()],
        default_root_dir=tmp_path,
    )
    trainer.fit(module, datamodule=data)
    optimizer = torch.optim.Adam(twin.parameters(), lr=3e-3, betas=(0.5, 0.999))
    weights, architecture = Samples(*kept[0]["weights"]), Samples(*kept[0]["architecture"])
    step = Step(0, 0.0, 0.1)
    loss = twin.architecture_step(before, architecture, weights, step, Tensor.backward)
    optimizer.step()
    assert float(trainer.callback_metrics["architecture_loss"]) == pytest.approx(float(loss))
    for name, tensor in twin.state_dict().items():
        torch.testing.assert_close(relaxation.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)
