"""Proxies from how differently a network sees the images of a batch."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_modules.proxies._network import batch_statistics
from lightning_modules.proxies._network import call
from lightning_modules.proxies._network import checked_images
from lightning_modules.proxies._network import checked_score
from lightning_modules.proxies._network import gradients
from lightning_modules.proxies._network import State


_aten = torch.ops.aten
_ACTIVATIONS = frozenset(
    {
        *(_aten.relu, _aten.relu_, _aten.hardtanh, _aten.hardtanh_),  # ReLU6 is a hardtanh.
        *(_aten.leaky_relu, _aten.leaky_relu_, _aten._prelu_kernel),
        *(_aten.elu, _aten.elu_, _aten.celu, _aten.celu_, _aten.gelu, _aten.gelu_),
        *(_aten.silu, _aten.silu_, _aten.mish, _aten.mish_, _aten.hardswish, _aten.hardswish_),
    }
)
_DAMPING = 1e-5


def jacob_cov(network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    """Return how little the Jacobians of the images correlate.

    ``-sum over i of (log(v_i + k) + 1 / (v_i + k))`` with ``k = 1e-5`` and the eigenvalues ``v_i``
    of the (batch, batch) correlation matrix of the rows ``J_n = d(sum of all logits)/d image_n``,
    flattened, under normalisation by the batch.

    Mellor et al., "Neural architecture search without training", first version, 2020
    (arXiv:2006.04647v1), section 3, under the name that Abdelfattah et al., ICLR 2021, gave it.

    Args:
        network: Maps ``images`` to (batch, classes); left as found.
        images: Floating point, (batch, channels, height, width), at least 2.
        labels: Not used.

    Returns:
        At most minus the batch size, that of rows without correlation; minus infinity if a
        Jacobian is the same everywhere, so that it has no correlation.

    Raises:
        ValueError: If ``images`` has another form.
        RuntimeError: If a Jacobian is not finite.
    """
    images = checked_images(images).requires_grad_()
    with batch_statistics(network):
        (jacobian,) = gradients(call(network, State(network), images).sum(), [images])
    rows = jacobian.flatten(1).double()
    if not rows.isfinite().all():
        return checked_score("jacob_cov", float("nan"))
    if (rows == rows[:, :1]).all(1).any():
        return float("-inf")
    values = torch.linalg.eigvalsh(torch.corrcoef(rows)) + _DAMPING
    return checked_score("jacob_cov", -float((values.log() + 1 / values).sum()))


def naswot(network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    """Return ``log|K|``, how well the binary codes of the images can be told apart.

    The code of an image has a bit for each activation of the network, whether its input is
    positive. ``K[i, j]`` is the number of bits in which images ``i`` and ``j`` agree, that is,
    the number of all less the Hamming distance; the normalisation is that of the batch.

    Mellor et al., "Neural architecture search without training", ICML 2021, section 3. There
    activations are ReLU; here also its relatives (ReLU6, leaky ReLU, ELU, GELU, SiLU, hard swish
    and the like), as modules or as functions, and each time that they are called.

    Args:
        network: Takes ``images``; left as found.
        images: Floating point, (batch, channels, height, width), at least 2.
        labels: Not used.

    Returns:
        A value of any sign; minus infinity if two codes are the same, among other reasons because
        there is no activation. If the codes depend on each other in another way, either minus
        infinity or, by rounding, a very low number.

    Raises:
        ValueError: If ``images`` has another form.
        RuntimeError: If an activation's input is not a number.
    """
    images = checked_images(images)
    kernel = _Kernel(len(images))
    with batch_statistics(network), torch.no_grad(), kernel:
        call(network, State(network), images)
    return checked_score("naswot", kernel.log_determinant())


class _Kernel(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bits in which the codes of the images agree, while the network is called."""

    def __init__(self, batch: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._batch = batch
        self._agreeing = torch.zeros(batch, batch, dtype=torch.float64)
        self._undefined = False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func.overloadpacket in _ACTIVATIONS and len(args[0]) == self._batch:
            self._add(args[0].flatten(1))  # Before an activation in place changes it.
        run: Callable[..., Any] = func
        return run(*args, **(kwargs or {}))

    def _add(self, values: Tensor) -> None:
        self._undefined |= bool(values.isnan().any())
        signs = (values > 0).to(values.dtype).mul_(2).sub_(1)
        # An agreeing bit gives 1, another one -1: n bits and the product p make (n + p) / 2.
        products = (signs @ signs.T).double()
        self._agreeing += ((values.shape[1] + products) / 2).cpu()

    def log_determinant(self) -> float:
        """Return the logarithm of the determinant, minus infinity if it is zero."""
        if self._undefined:
            return float("nan")
        if len(torch.unique(self._agreeing, dim=0)) < self._batch:
            return float("-inf")  # Rounding could make a large finite number of it.
        sign, logarithm = torch.linalg.slogdet(self._agreeing)
        return float(logarithm) if sign > 0 else float("-inf")
