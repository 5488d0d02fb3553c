"""DARTS with architecture gradients of second order: through one step of the weights."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import get_args
from typing import Literal

import torch
from torch import nn
from torch import Tensor
from torch.func import functional_call

from lightning_modules.supernet._evaluate import batch_statistics
from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import Backward
from lightning_modules.supernet.relaxations._base import Samples
from lightning_modules.supernet.relaxations._base import Step
from lightning_modules.supernet.relaxations.darts import Darts


Method = Literal["exact", "finite-difference"]


class SecondOrderDarts(Darts):
    """The softmax mixture, whose logits foresee the next step of the weights.

    Liu et al., ICLR 2019, section 2.3: the architecture gradient is that of the loss on the
    architecture's batch at the weights after one step of plain SGD on the weights' batch, at the
    learning rate of the step (equations 6 and 7). Momentum, weight decay and clipping, which the
    weight step itself has, are left out of it. With several processes each foresees the step on
    its own batch, and the gradients are averaged as all others are.

    ``"exact"`` takes the product of the mixed second derivatives with a vector by automatic
    differentiation. ``"finite-difference"`` approximates it by two gradients (equation 8), which
    takes less memory. It needs float32, and each ReLU that changes sign between the two weights
    adds an error to it.

    Args:
        supernet: The supernet that is to be trained.
        method: ``"exact"`` or ``"finite-difference"``.
        radius: How far from the weights the two gradients are taken, as a norm.
        costs: Factors of the architecture loss.
        seed: Seed of the first logits.

    Raises:
        ValueError: If ``method`` is neither of the two or ``radius`` not above 0.
    """

    epochs = 2

    def __init__(
        self,
        supernet: Supernet,
        *,
        method: Method = "exact",
        radius: float = 0.01,
        costs: tuple[Callable[[Mapping[str, Tensor]], Tensor], ...] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(supernet, costs=costs, seed=seed)
        if method not in get_args(Method):
            raise ValueError(
                f"Expected argument `method` to be one of {list(get_args(Method))} "
                f"but got {method!r}."
            )
        if not radius > 0:
            raise ValueError(f"Expected argument `radius` to be above 0 but got {radius}.")
        self.method = method
        self.radius = radius

    def architecture_step(
        self,
        supernet: Supernet,
        batch: Samples,
        train_batch: Samples,
        step: Step,
        backward: Backward,
    ) -> Tensor:
        """Add the gradients of the loss after the unrolled step.

        Neither the weights nor the statistics of normalisation are changed.
        """
        with torch.enable_grad(), batch_statistics(supernet):
            loss, gradients = self._gradients(supernet, batch, train_batch, step)
        # A loss with these gradients: so mixed precision and several processes treat them as
        # those of any other loss.
        parameters = self.parameters()
        backward(sum((p * g).sum() for p, g in zip(parameters, gradients, strict=True)))  # type: ignore[arg-type]
        return loss

    def _gradients(
        self, supernet: Supernet, batch: Samples, train_batch: Samples, step: Step
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the loss after the unrolled step and its gradients, those of equation 7."""
        alpha, xi = list(self.parameters()), step.learning_rate
        names = list(dict(supernet.named_parameters()))
        w = [p.detach().requires_grad_() for p in supernet.parameters()]
        train_loss = _Loss(supernet, lambda net, batch, gates: net.loss(*batch, gates))
        val_loss = _Loss(supernet, self.architecture_loss)

        gates = self.gates(supernet, step, 1)
        exact = self.method == "exact"
        slopes = _gradients(train_loss.at(names, w, train_batch, gates), w, create_graph=exact)
        w_next = [(p - xi * g).detach().requires_grad_() for p, g in zip(w, slopes, strict=True)]
        loss = val_loss.at(names, w_next, batch, self.gates(supernet, step, 1))
        first_order = _gradients(loss, [*alpha, *w_next])
        direct, v = first_order[: len(alpha)], first_order[len(alpha) :]

        def train_gradients(weights: Sequence[Tensor]) -> list[Tensor]:
            gates = self.gates(supernet, step, 1)
            return _gradients(train_loss.at(names, weights, train_batch, gates), alpha)

        if exact:
            product = _vector_product(slopes, alpha, v)
        else:
            product = difference_product(train_gradients, w, v, self.radius)
        return loss.detach(), [d - xi * p for d, p in zip(direct, product, strict=True)]


class _Loss(nn.Module):
    """A loss of a supernet as a function of its weights."""

    def __init__(
        self, supernet: Supernet, loss: Callable[[Supernet, Samples, Gates], Tensor]
    ) -> None:
        super().__init__()
        self.supernet = supernet
        self.loss = loss

    def forward(self, batch: Samples, gates: Gates) -> Tensor:
        return self.loss(self.supernet, batch, gates)

    def at(
        self, names: Sequence[str], weights: Sequence[Tensor], batch: Samples, gates: Gates
    ) -> Tensor:
        """Return the loss at other weights of the supernet, in the order of their names."""
        values = {f"supernet.{name}": w for name, w in zip(names, weights, strict=True)}
        loss: Tensor = functional_call(self, values, (batch, gates))
        return loss


def difference_product(
    gradients: Callable[[Sequence[Tensor]], list[Tensor]],
    weights: Sequence[Tensor],
    vector: Sequence[Tensor],
    radius: float,
) -> list[Tensor]:
    """Return the derivative of ``gradients`` along a vector by central differences.

    Liu et al., ICLR 2019, equation 8, with epsilon = radius / norm of the vector.

    Args:
        gradients: Of the architecture parameters, as a function of the weights.
        weights: Where the derivative is taken.
        vector: Shapes of the weights.
        radius: Norm of the step to either side.
    """
    norm = torch.stack([v.norm() for v in vector]).norm()
    if not norm > 0:
        return [torch.zeros_like(g) for g in gradients(weights)]
    epsilon = radius / norm
    upper = gradients([w + epsilon * v for w, v in zip(weights, vector, strict=True)])
    lower = gradients([w - epsilon * v for w, v in zip(weights, vector, strict=True)])
    return [(u - d) / (2 * epsilon) for u, d in zip(upper, lower, strict=True)]


def _vector_product(
    slopes: Sequence[Tensor], alpha: Sequence[Tensor], vector: Sequence[Tensor]
) -> list[Tensor]:
    """Return the gradients of alpha of the inner product of differentiable slopes and a vector."""
    pairs = [(s, v) for s, v in zip(slopes, vector, strict=True) if s.requires_grad]
    outputs, vectors = [s for s, _ in pairs], [v for _, v in pairs]
    return list(torch.autograd.grad(outputs, alpha, vectors, materialize_grads=True))


def _gradients(
    loss: Tensor, inputs: Sequence[Tensor], *, create_graph: bool = False
) -> list[Tensor]:
    """Return the gradients, zeros where the loss does not depend on an input."""
    return list(
        torch.autograd.grad(loss, inputs, create_graph=create_graph, materialize_grads=True)
    )


RELAXATION = SecondOrderDarts
