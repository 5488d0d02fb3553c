"""PC-DARTS: operations on a part of the channels, and weights of the edges of a node."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import Step
from lightning_modules.supernet.relaxations.darts import Darts


class PartialChannels(Darts):
    """The softmax mixture on a part of the channels, with edge normalisation (PC-DARTS).

    Xu et al., ICLR 2020. The supernet sends one of K channels through the operations (section
    3.2, equation 2; K = 4 on CIFAR-10), so that it takes about 1/K of the memory and time, and
    operations without weights lose their head start. As the choice of an edge then depends on the
    channels that happen to be sampled, each edge has a weight, the softmax over all edges that
    enter its node (section 3.3, equation 3), and the strength of an edge is the product with the
    weight of its operation.

    That decides between edges in a :class:`~optuna_nas.DartsSpace`; an operation on an edge, as in
    a :class:`~optuna_nas.CellSpace`, is chosen by its own softmax alone. Section 4.2 trains the
    weights alone for the first 15 of 50 epochs (``architecture_start=0.3``).

    Args:
        supernet: The supernet that is to be trained, built with :attr:`supernet_arguments` or with
            another ``partial_channels`` above 1 that divides the channels of a cell.
        costs: Factors of the architecture loss.
        seed: Seed of the first logits.

    Raises:
        ValueError: If the supernet has no cells or no partial channels.
    """

    epochs = 8
    module_arguments = MappingProxyType({"architecture_start": 0.3})  # Section 4.2.
    supernet_arguments = MappingProxyType({"affine": False, "partial_channels": 4})

    def __init__(
        self,
        supernet: Supernet,
        *,
        costs: tuple[Callable[[Mapping[str, Tensor]], Tensor], ...] = (),
        seed: int = 0,
    ) -> None:
        if not supernet.gate_groups or supernet.partial_channels == 1:
            what = "partial channels" if supernet.gate_groups else "cells"
            raise ValueError(
                "Expected argument `supernet` to be one of cells built with `partial_channels` "
                f"above 1 but got one of search space `{supernet.space.name}` without {what}."
            )
        super().__init__(supernet, costs=costs, seed=seed)
        self._groups = supernet.gate_groups
        self._absent = dict(supernet.absent)
        rng = np.random.default_rng((seed, 0xED6E))
        self.edge_logits = nn.ParameterList(
            nn.Parameter(torch.from_numpy(1e-3 * rng.standard_normal(len(group))).float())
            for group in self._groups
        )

    def edge_weights(self) -> dict[str, Tensor]:
        """Return the weight of each gate's edge, scalars of sum 1 over the edges of a node."""
        weights: dict[str, Tensor] = {}
        for group, logits in zip(self._groups, self.edge_logits, strict=True):
            weights |= zip(group, F.softmax(logits, dim=0).unbind(), strict=True)
        return weights

    def gates(self, supernet: Supernet, step: Step, purpose: int) -> Gates:
        """Return gates of all choices, scaled by the weights of their edges."""
        weights = self.edge_weights()
        return {
            name: gate._replace(scale=weights[name])
            for name, gate in super().gates(supernet, step, purpose).items()
        }

    def probabilities(self) -> dict[str, Tensor]:
        """Return the softmax of the logits, with the edges' weights where edges are chosen.

        There the operations are multiplied with the weight of their edge relative to the largest
        of its node, and ``none`` takes the rest: the product of both weights up to a factor that
        the edges of a node share, as probabilities.
        """
        found = super().probabilities()
        for group, logits in zip(self._groups, self.edge_logits, strict=True):
            for name, weight in zip(group, torch.exp(logits - logits.amax()), strict=True):
                if name in self._absent:
                    none = F.one_hot(torch.tensor(self._absent[name]), len(found[name]))
                    rest = none.to(weight) * (1 - weight)
                    found[name] = found[name] * weight + rest
        return found


RELAXATION = PartialChannels
