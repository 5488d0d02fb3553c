"""All choices, weighted by a Gumbel-softmax that becomes sharper (FBNet)."""

from __future__ import annotations

import math
from types import MappingProxyType

from torch import Tensor

from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import full_weights
from lightning_modules.supernet.relaxations._base import mixed_gates
from lightning_modules.supernet.relaxations._base import Step
from lightning_modules.supernet.relaxations._gumbel import GumbelRelaxation


class FBNet(GumbelRelaxation):
    """All choices, weighted by a Gumbel-softmax that becomes sharper (Wu et al., CVPR 2019).

    Section 3.4, equation 9: the temperature falls exponentially, from 5 by the factor exp(-0.045)
    an epoch over 90 epochs (section 4.1), here over the whole training. Gates that cannot mix
    several choices take one, as in :class:`~lightning_modules.supernet.relaxations.Gdas`. The
    published loss has a latency term, as by
    :class:`~lightning_modules.supernet.relaxations.LatencyFactor`.
    """

    epochs = 4
    takes_costs = True
    module_arguments = MappingProxyType({"architecture_learning_rate": 0.01})  # Section 4.1.
    published_temperatures = (5.0, 5.0 * math.exp(-0.045 * 90))

    def temperature(self, progress: float) -> float:
        """Return the temperature at a progress in [0, 1]."""
        first, last = self.temperatures
        return float(first * (last / first) ** progress)

    def gates(self, supernet: Supernet, step: Step, purpose: int) -> Gates:
        """Return gates of all choices."""
        return mixed_gates(supernet, self.soft(step, purpose))

    def weights_for_costs(self, supernet: Supernet, gates: Gates) -> dict[str, Tensor]:
        """Return the weights of the step, as in equation 7 of the paper."""
        return full_weights(supernet, gates)


RELAXATION = FBNet
