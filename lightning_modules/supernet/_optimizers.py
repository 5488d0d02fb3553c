"""The optimizers of a supernet and of its architecture parameters, and their schedules."""

from __future__ import annotations

import math

import torch

from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations import Relaxation


SUPERNET_SCHEDULES = ("cosine", "warm_up_cosine", "constant_exponential")
"""Names of the learning rate schedules of :class:`SupernetModule`."""

GRADIENT_CLIP = 5.0
"""Largest norm of the weights' gradients, as in the published code of DARTS."""

_WARM_UP = 0.1
_CONSTANT = 0.5


def make_optimizers(
    supernet: Supernet,
    relaxation: Relaxation,
    *,
    learning_rate: float = 0.05,
    weight_decay: float = 5e-4,
    architecture_learning_rate: float = 3e-3,
    architecture_weight_decay: float = 1e-3,
) -> list[torch.optim.Optimizer]:
    """Return SGD for the weights and, if the relaxation learns, Adam for its parameters.

    Args:
        supernet: The supernet.
        relaxation: How it is trained.
        learning_rate: Largest learning rate of the weights: SGD with Nesterov momentum 0.9.
        weight_decay: That of the weights.
        architecture_learning_rate: Learning rate of the architecture parameters: Adam with the
            betas (0.5, 0.999) (Liu et al., ICLR 2019, section A.1).
        architecture_weight_decay: That of the architecture parameters, where they are subject to
            it.

    Raises:
        ValueError: If a number is out of its range.
    """
    for name, value in [
        ("learning_rate", learning_rate),
        ("architecture_learning_rate", architecture_learning_rate),
    ]:
        if not value > 0:
            raise ValueError(f"Expected argument `{name}` to be above 0 but got {value}.")
    for name, value in [
        ("weight_decay", weight_decay),
        ("architecture_weight_decay", architecture_weight_decay),
    ]:
        if not value >= 0:
            raise ValueError(f"Expected argument `{name}` to be at least 0 but got {value}.")
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.SGD(
            supernet.parameters(),
            lr=learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=weight_decay,
        )
    ]
    if relaxation.learns:
        optimizers.append(
            torch.optim.Adam(
                relaxation.parameters(),
                lr=architecture_learning_rate,
                betas=(0.5, 0.999),
                weight_decay=architecture_weight_decay if relaxation.decays else 0.0,
            )
        )
    return optimizers


def clip_gradients(optimizer: torch.optim.Optimizer, largest: float) -> None:
    """Scale the gradients of an optimizer's parameters to a norm of at most ``largest``.

    Args:
        optimizer: The optimizer.
        largest: The largest norm, 0 for no limit.
    """
    if largest:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, largest)


def supernet_rate_factor(schedule: str, progress: float) -> float:
    """Return what the largest learning rate is multiplied with.

    Args:
        schedule: ``"cosine"`` falls from 1 to 0 (Loshchilov & Hutter, ICLR 2017, equation 5, no
            restarts). ``"warm_up_cosine"`` rises linearly over the first tenth before (Goyal et
            al., 2017, arXiv:1706.02677, section 2.2). ``"constant_exponential"`` is 1 for the
            first half and then falls exponentially to 0.01.
        progress: The part of the training that is done, in [0, 1].

    Raises:
        ValueError: If ``schedule`` is unknown.

    Example:

        >>> [round(supernet_rate_factor("constant_exponential", p), 2) for p in (0, 0.5, 0.75, 1)]
        [1.0, 1.0, 0.1, 0.01]
    """
    if schedule not in SUPERNET_SCHEDULES:
        raise ValueError(
            f"Expected argument `schedule` to be one of {list(SUPERNET_SCHEDULES)} "
            f"but got {schedule!r}."
        )
    if schedule == "constant_exponential":
        return float(0.01 ** max(0.0, (progress - _CONSTANT) / (1 - _CONSTANT)))
    if schedule == "warm_up_cosine":
        if progress < _WARM_UP:
            return (progress + 0.01) / (_WARM_UP + 0.01)
        progress = (progress - _WARM_UP) / (1 - _WARM_UP)
    return (1 + math.cos(math.pi * min(progress, 1.0))) / 2
