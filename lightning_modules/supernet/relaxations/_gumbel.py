"""Logits with Gumbel noise and a temperature, for GDAS and FBNet."""

from __future__ import annotations

import abc
from collections.abc import Callable
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import LogitRelaxation
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


def gumbel_softmax(logits: Tensor, temperature: float, rng: np.random.Generator) -> Tensor:
    """Return softmax((logits + Gumbel noise) / temperature) (Jang et al., ICLR 2017, equation 2).

    Args:
        logits: Shape (number of choices,).
        temperature: Above 0.
        rng: Draws the noise, the same on every device.
    """
    noise = torch.from_numpy(rng.gumbel(size=len(logits))).to(logits)
    return F.softmax((F.log_softmax(logits, dim=0) + noise) / temperature, dim=0)
