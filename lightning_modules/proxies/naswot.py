"""The proxy from how well the signs in front of the activations tell samples apart."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_modules.proxies._checks import batch_size
from lightning_modules.proxies._checks import checked_inputs
from lightning_modules.proxies._checks import checked_score
from lightning_modules.proxies._network import batch_statistics
from lightning_modules.proxies._network import call
from lightning_modules.proxies._network import CalledWeights
from lightning_modules.tasks import Loss


_aten = torch.ops.aten
_ACTIVATIONS = frozenset(
    {
        *(_aten.relu, _aten.relu_, _aten.hardtanh, _aten.hardtanh_),  # ReLU6 is a hardtanh.
        *(_aten.leaky_relu, _aten.leaky_relu_, _aten._prelu_kernel),
        *(_aten.elu, _aten.elu_, _aten.celu, _aten.celu_, _aten.gelu, _aten.gelu_),
        *(_aten.silu, _aten.silu_, _aten.mish, _aten.mish_, _aten.hardswish, _aten.hardswish_),
    }
)


def naswot(
    network: nn.Module, inputs: Any, targets: Any = None, loss: Loss | None = None
) -> float:
    """Return ``log|K|``, how well the binary codes of the samples can be told apart.

    The code of a sample has a bit for each activation of the network, whether its input is
    positive. ``K[i, j]`` is the number of bits in which samples ``i`` and ``j`` agree, that is,
    the number of all less the Hamming distance; the normalisation is that of the batch.

    Mellor et al., "Neural architecture search without training", ICML 2021, section 3. There
    activations are ReLU; here also its relatives (ReLU6, leaky ReLU, ELU, GELU, SiLU, hard swish
    and the like), as modules or as functions, and each time that they are called.

    Args:
        network: Takes ``inputs``; left as found.
        inputs: A tensor (batch, ...), or tuples or dicts of such; at least 2 samples.
        targets: Not used.
        loss: Not used.

    Returns:
        A value of any sign; minus infinity if two codes are the same, among other reasons because
        there is no activation. If the codes depend on each other in another way, either minus
        infinity or, by rounding, a very low number.

    Raises:
        ValueError: If ``inputs`` have another form.
        RuntimeError: If an activation's input is not a number.
    """
    inputs = checked_inputs(inputs)
    kernel = _Kernel(batch_size(inputs))
    with batch_statistics(network), torch.no_grad(), kernel:
        call(network, CalledWeights(network), inputs)
    return checked_score("naswot", kernel.log_determinant())


class _Kernel(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bits in which the codes of the samples agree, while the network is called."""

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


PROXY = naswot
