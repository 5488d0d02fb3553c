"""The softmax mixture of all choices (DARTS), with architecture gradients of first order."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from lightning_modules.supernet._gates import Gate
from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import LogitRelaxation
from lightning_modules.supernet.relaxations._base import mixed_gates
from lightning_modules.supernet.relaxations._base import Step


class Darts(LogitRelaxation):
    """All choices, weighted by the softmax of the logits (Liu et al., ICLR 2019, section 2.2).

    The architecture steps are those of first order (section 2.3, xi = 0). Gates that cannot mix
    several choices take the likeliest one, with the gradient of its probability.

    Args:
        supernet: The supernet that is to be trained.
        costs: Factors of the architecture loss.
        seed: Seed of the first logits.
    """

    epochs = 4

    def gates(self, supernet: Supernet, step: Step, purpose: int) -> Gates:
        """Return gates of all choices; they do not depend on the step."""
        return softmax_gates(supernet, dict(self.logits.items()))


def softmax_gates(supernet: Supernet, logits: Mapping[str, Tensor]) -> dict[str, Gate]:
    """Return gates of all choices, weighted by the softmax of logits.

    Args:
        supernet: Its gates that cannot mix several choices take the likeliest one.
        logits: For each gate a logit for each choice.
    """
    return mixed_gates(
        supernet, {name: F.softmax(values, dim=0) for name, values in logits.items()}
    )


RELAXATION = Darts
