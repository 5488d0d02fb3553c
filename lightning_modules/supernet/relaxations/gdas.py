"""One path a step, sampled by the Gumbel-max trick, with the gradients of the softmax (GDAS)."""

from __future__ import annotations

from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import hard_gates
from lightning_modules.supernet.relaxations._base import Step
from lightning_modules.supernet.relaxations._gumbel import GumbelRelaxation


class Gdas(GumbelRelaxation):
    """One path a step, sampled by the Gumbel-max trick; gradients as of the softmax.

    Dong & Yang, CVPR 2019, section 3.2, equations 3 to 6: the forward pass takes the choice of
    the largest ``logit + noise`` alone, and the backward pass differentiates the softmax of them
    at temperature tau, which falls linearly (section 4.1: from 10 to 0.1).
    """

    epochs = 8
    published_temperatures = (10.0, 0.1)

    def temperature(self, progress: float) -> float:
        """Return tau at a progress in [0, 1]."""
        first, last = self.temperatures
        return first + (last - first) * progress

    def gates(self, supernet: Supernet, step: Step, purpose: int) -> Gates:
        """Return gates of one choice each."""
        return hard_gates(self.soft(step, purpose))


RELAXATION = Gdas
