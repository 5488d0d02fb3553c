"""How sharply the architecture loss bends: the largest eigenvalue of its Hessian."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse.linalg import ArpackError
from scipy.sparse.linalg import eigsh
from scipy.sparse.linalg import LinearOperator
import torch
from torch import Tensor

from lightning_modules.supernet._evaluate import batch_statistics
from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations import FBNet
from lightning_modules.supernet.relaxations import Gdas
from lightning_modules.supernet.relaxations import LogitRelaxation
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from lightning_modules.supernet.relaxations.darts import softmax_gates


def architecture_eigenvalue(
    supernet: Supernet, relaxation: LogitRelaxation, batch: Samples, step: Step
) -> float:
    """Return the largest eigenvalue of the Hessian of the loss by the architecture parameters.

    Zela et al., ICLR 2020, section 4. The loss is the task's alone, without costs, with the
    statistics of the batch. Relaxations that draw Gumbel noise are looked at as the softmax
    mixture that they sample from. As a constant may be added to all logits of a gate, there always
    is an eigenvalue of 0, and the largest is not negative.

    Args:
        supernet: The supernet; neither weights nor gradients are changed.
        relaxation: With logits.
        batch: Of the data for the architecture.
        step: The step that the relaxation makes its gates for.

    Returns:
        The eigenvalue, in units of the loss; NaN if it was not found, e.g. as the loss is not
        finite.
    """
    with torch.enable_grad(), batch_statistics(supernet):
        gates = _smooth_gates(supernet, relaxation, step)
        loss = supernet.loss(*batch, gates)
        return largest_eigenvalue(loss, list(relaxation.parameters()))


def largest_eigenvalue(
    loss: Tensor, parameters: Sequence[Tensor], *, tolerance: float = 1e-3
) -> float:
    """Return the largest eigenvalue of the Hessian of a loss, by the Lanczos method.

    Products with the Hessian are derivatives of the gradient (Pearlmutter, Fast exact
    multiplication by the Hessian, 1994); it is never built.

    Args:
        loss: A scalar with a graph that can be differentiated twice.
        parameters: What it is differentiated by.
        tolerance: Relative.

    Returns:
        The eigenvalue; NaN if the loss is not finite or the method does not converge.
    """
    slopes = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    gradient = torch.cat([slope.reshape(-1) for slope in slopes])
    n = len(gradient)
    if not bool(gradient.isfinite().all()):
        return float("nan")
    if not gradient.requires_grad:
        return 0.0

    def product(vector: np.ndarray) -> np.ndarray:
        v = torch.from_numpy(vector.reshape(-1)).to(gradient)
        parts = torch.autograd.grad(
            gradient, parameters, v, retain_graph=True, materialize_grads=True
        )
        column: np.ndarray = torch.cat([p.reshape(-1) for p in parts]).double().cpu().numpy()
        return column

    if n == 1:
        return float(product(np.ones(1))[0])
    start = np.random.default_rng(0).standard_normal(n)
    along = product(start)
    if not along.any():
        return 0.0  # The method would fail.
    if not np.isfinite(along).all():
        return float("nan")
    hessian = LinearOperator((n, n), matvec=product, dtype=np.float64)
    try:
        values = eigsh(
            hessian, k=1, which="LA", v0=start, tol=tolerance, return_eigenvectors=False
        )
    except ArpackError:
        return float("nan")
    return float(values[0])


def _smooth_gates(supernet: Supernet, relaxation: LogitRelaxation, step: Step) -> Gates:
    if isinstance(relaxation, Gdas | FBNet):
        return softmax_gates(supernet, dict(relaxation.logits.items()))
    return relaxation.gates(supernet, step, 1)
