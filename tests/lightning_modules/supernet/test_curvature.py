import copy

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.spaces.cell import CellSupernet
from lightning_modules.supernet import architecture_eigenvalue
from lightning_modules.supernet import Gate
from lightning_modules.supernet._curvature import largest_eigenvalue
from lightning_modules.supernet.relaxations import Darts
from lightning_modules.supernet.relaxations import FBNet
from lightning_modules.supernet.relaxations import Gdas
from lightning_modules.supernet.relaxations import LogitRelaxation
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace


STEP = Step(3, 0.5, 0.3)


def make_supernet() -> CellSupernet:
    torch.manual_seed(0)
    sizes = {"input_shape": (1, 5, 5), "channels": 3}
    return CellSupernet(
        CellSpace(n_nodes=3), Classification(3), **sizes, cells_per_stage=2, stages=1
    ).double()


def make_batch() -> Samples:
    rng = torch.Generator().manual_seed(1)
    images = torch.randn(10, 1, 5, 5, generator=rng, dtype=torch.float64)
    return Samples(images, torch.randint(3, (10,), generator=rng))


def randomise(relaxation: LogitRelaxation) -> LogitRelaxation:
    rng = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for logits in relaxation.parameters():
            logits.copy_(torch.randn(logits.shape, generator=rng))
    return relaxation.double()


def dense_hessian(supernet: CellSupernet, relaxation: LogitRelaxation, batch: Samples) -> Tensor:
    """The whole matrix, of the mixture written out."""
    shapes = {name: len(logits) for name, logits in relaxation.logits.items()}

    def loss(alpha: Tensor) -> Tensor:
        parts = dict(zip(shapes, alpha.split(list(shapes.values())), strict=True))
        gates = {n: Gate(tuple(range(len(p))), p.exp() / p.exp().sum()) for n, p in parts.items()}
        return F.cross_entropy(supernet(batch.inputs, gates), batch.targets)

    alpha = torch.cat([logits.detach() for logits in relaxation.logits.values()])
    return torch.autograd.functional.hessian(loss, alpha)


@pytest.mark.parametrize("kind", [Darts, Gdas, FBNet])
def test_eigenvalue_is_that_of_the_dense_hessian(kind: type[LogitRelaxation]) -> None:
    supernet, batch = make_supernet(), make_batch()
    relaxation = randomise(kind(supernet))
    expected = torch.linalg.eigvalsh(dense_hessian(copy.deepcopy(supernet), relaxation, batch))
    assert expected[-1] > 1e-3
    assert expected[-1] > 1.2 * expected[-2]
    found = architecture_eigenvalue(supernet, relaxation, batch, STEP)
    assert found == pytest.approx(float(expected[-1]), rel=1e-4)


def test_single_precision_is_enough() -> None:
    supernet, batch = make_supernet(), make_batch()
    relaxation = randomise(Darts(supernet))
    exact = architecture_eigenvalue(supernet, relaxation, batch, STEP)
    single = Samples(batch.inputs.float(), batch.targets)
    found = architecture_eigenvalue(supernet.float(), relaxation.float(), single, STEP)
    assert found == pytest.approx(exact, rel=1e-2)


def test_nothing_is_changed() -> None:
    supernet, batch = make_supernet(), make_batch()
    relaxation = randomise(Darts(supernet))
    before = copy.deepcopy(supernet.state_dict())
    with torch.no_grad():
        architecture_eigenvalue(supernet, relaxation, batch, STEP)
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(p.grad is None for p in [*supernet.parameters(), *relaxation.parameters()])
    assert supernet.training


@pytest.mark.parametrize("n", [1, 2, 3, 60])
def test_eigenvalue_of_a_quadratic(n: int) -> None:
    root = np.random.default_rng(n).standard_normal((n, n))
    matrix = root + root.T
    x = torch.ones(n, dtype=torch.float64, requires_grad=True)
    y = torch.ones(2, dtype=torch.float64, requires_grad=True)  # Has no part in the loss.
    loss = 0.5 * x @ torch.from_numpy(matrix) @ x
    expected = np.linalg.eigvalsh(matrix)[-1]
    assert largest_eigenvalue(loss, [x], tolerance=1e-8) == pytest.approx(expected)
    loss = 0.5 * x @ torch.from_numpy(matrix) @ x
    found = largest_eigenvalue(loss, [x, y], tolerance=1e-8)
    assert found == pytest.approx(max(expected, 0.0), abs=1e-8)


def test_flat_and_infinite_losses() -> None:
    x = torch.zeros(4, requires_grad=True)
    assert largest_eigenvalue(x.sum(), [x]) == 0.0
    assert largest_eigenvalue((x**3).sum(), [x]) == 0.0
    assert np.isnan(largest_eigenvalue((x**2).sum() * float("nan"), [x]))
    assert np.isnan(largest_eigenvalue((x**1.5).sum(), [x]))
