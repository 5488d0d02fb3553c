"""Gumbel-softmax: one sampled path with straight-through gradients (GDAS), or all (FBNet)."""

from __future__ import annotations

import abc
from collections.abc import Callable
from collections.abc import Mapping
import math
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import full_weights
from lightning_modules.supernet.relaxations._base import hard_gates
from lightning_modules.supernet.relaxations._base import LogitRelaxation
from lightning_modules.supernet.relaxations._base import mixed_gates
from lightning_modules.supernet.relaxations._base import Step


class GumbelRelaxation(LogitRelaxation):
    """Logits with Gumbel noise and a temperature that follows a schedule.

    Args:
        supernet: The supernet that is to be trained.
        temperatures: First and last temperature; by default those of the paper.
        costs: Factors of the architecture loss.
        seed: Seed of the first logits and of the noise.

    Raises:
        ValueError: If a temperature is not above 0.
    """

    published_temperatures: ClassVar[tuple[float, float]]

    def __init__(
        self,
        supernet: Supernet,
        *,
        temperatures: tuple[float, float] | None = None,
        costs: tuple[Callable[[Mapping[str, Tensor]], Tensor], ...] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(supernet, costs=costs, seed=seed)
        self.temperatures = temperatures or self.published_temperatures
        if not all(temperature > 0 for temperature in self.temperatures):
            raise ValueError(
                f"Expected argument `temperatures` to be above 0 but got {temperatures}."
            )

    @abc.abstractmethod
    def temperature(self, progress: float) -> float:
        """Return the temperature at a progress in [0, 1]."""

    def soft(self, step: Step, purpose: int) -> dict[str, Tensor]:
        """Return the Gumbel-softmax of each gate."""
        rng, temperature = self.rng(step, purpose), self.temperature(step.progress)
        return {
            name: gumbel_softmax(logits, temperature, rng) for name, logits in self.logits.items()
        }


class Gdas(GumbelRelaxation):
    """One path a step, sampled by the Gumbel-max trick; gradients as of the softmax.

    Dong & Yang, CVPR 2019, section 3.2, equations 3 to 6: the forward pass takes the choice of
    the largest ``logit + noise`` alone, and the backward pass differentiates the softmax of them
    at temperature tau, which falls linearly (section 4.1: from 10 to 0.1).
    """

    name = "gdas"
    epochs = 8
    published_temperatures = (10.0, 0.1)

    def temperature(self, progress: float) -> float:
        """Return tau at a progress in [0, 1]."""
        first, last = self.temperatures
        return first + (last - first) * progress

    def gates(self, supernet: Supernet, step: Step, purpose: int) -> Gates:
        """Return gates of one choice each."""
        return hard_gates(self.soft(step, purpose))


class FBNet(GumbelRelaxation):
    """All choices, weighted by a Gumbel-softmax that becomes sharper (Wu et al., CVPR 2019).

    Section 3.4, equation 9: the temperature falls exponentially, from 5 by the factor exp(-0.045)
    an epoch over 90 epochs (section 4.1), here over the whole training. Gates that cannot mix
    several choices take one, as in :class:`Gdas`. The published loss has a latency term,
    :class:`LatencyFactor`.
    """

    name = "fbnet"
    epochs = 4
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


def gumbel_softmax(logits: Tensor, temperature: float, rng: np.random.Generator) -> Tensor:
    """Return softmax((logits + Gumbel noise) / temperature) (Jang et al., ICLR 2017, equation 2).

    Args:
        logits: Shape (number of choices,).
        temperature: Above 0.
        rng: Draws the noise, the same on every device.
    """
    noise = torch.from_numpy(rng.gumbel(size=len(logits))).to(logits)
    return F.softmax((F.log_softmax(logits, dim=0) + noise) / temperature, dim=0)
