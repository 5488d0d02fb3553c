"""The proxy from how differently the output depends on each sample."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lightning_modules.proxies._checks import checked_inputs
from lightning_modules.proxies._checks import checked_score
from lightning_modules.proxies._checks import floating
from lightning_modules.proxies._network import batch_statistics
from lightning_modules.proxies._network import call
from lightning_modules.proxies._network import CalledWeights
from lightning_modules.proxies._network import gradients
from lightning_modules.proxies._network import summed
from lightning_modules.tasks import Loss


_DAMPING = 1e-5


def jacob_cov(
    network: nn.Module, inputs: Any, targets: Any = None, loss: Loss | None = None
) -> float:
    """Return how little the Jacobians of the samples correlate.

    ``-sum over i of (log(v_i + k) + 1 / (v_i + k))`` with ``k = 1e-5`` and the eigenvalues ``v_i``
    of the (batch, batch) correlation matrix of the rows ``J_n = d(sum of all outputs)/d input_n``,
    flattened, under normalisation by the batch.

    Mellor et al., "Neural architecture search without training", first version, 2020
    (arXiv:2006.04647v1), section 3, under the name that Abdelfattah et al., ICLR 2021, gave it.

    Args:
        network: Maps ``inputs`` to an output; left as found.
        inputs: Floating point, (batch, ...), or tuples or dicts of such; at least 2 samples.
        targets: Not used.
        loss: Not used.

    Returns:
        At most minus the batch size, that of rows without correlation; minus infinity if a
        Jacobian is the same everywhere, so that it has no correlation.

    Raises:
        ValueError: If ``inputs`` have another form.
        RuntimeError: If a Jacobian is not finite.
    """
    inputs = checked_inputs(inputs)
    leaves = floating("jacob-cov", inputs)
    for leaf in leaves:
        leaf.requires_grad_()
    with batch_statistics(network):
        jacobians = gradients(summed(call(network, CalledWeights(network), inputs)), leaves)
    rows = torch.cat([jacobian.flatten(1).double() for jacobian in jacobians], dim=1)
    if not rows.isfinite().all():
        return checked_score("jacob-cov", float("nan"))
    if (rows == rows[:, :1]).all(1).any():
        return float("-inf")
    values = torch.linalg.eigvalsh(torch.corrcoef(rows)) + _DAMPING
    return checked_score("jacob-cov", -float((values.log() + 1 / values).sum()))


PROXY = jacob_cov
