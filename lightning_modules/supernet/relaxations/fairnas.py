"""As many paths a step as there are choices, so that each is trained once (FairNAS)."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import PathRelaxation
from lightning_modules.supernet.relaxations._base import Step
from optuna_nas import Architecture
from optuna_nas.spaces import Choice
from optuna_nas.spaces import choices_of
from optuna_nas.spaces import SearchSpace


class FairPaths(PathRelaxation):
    """As many paths a step as there are choices, so that each choice is trained once.

    Strict fairness of FairNAS (Chu et al., ICCV 2021, section 3.1): the choices of each decision
    are permuted, path k takes the k-th of each, and the gradients of all paths are added up before
    the weights change. Where a decision has fewer choices than the one with most, its permutation
    begins anew.
    """

    epochs = 2
    module_arguments = MappingProxyType({"learning_rate": 0.025})

    def architectures(self, supernet: Supernet, step: Step) -> list[Architecture]:
        """Return the architectures of the permutations."""
        return fair_architectures(supernet.space, self.rng(step, 0))


def fair_architectures(space: SearchSpace, rng: np.random.Generator) -> list[Architecture]:
    """Return as many architectures as the largest decision has choices; each has each choice once.

    The choices of each decision are permuted, and architecture k takes the k-th of each. Where a
    decision has fewer choices, its permutation begins anew; inactive decisions are left out.

    Args:
        space: The search space.
        rng: Draws the permutations.
    """
    choices = {name: choices_of(dist) for name, dist in space.distributions.items()}
    n_paths = max(map(len, choices.values()))
    columns: dict[str, list[Choice]] = {}
    for name, own in choices.items():
        column: list[Choice] = []
        while len(column) < n_paths:
            column += [own[int(i)] for i in rng.permutation(len(own))]
        columns[name] = column
    return [
        space.architecture({name: column[k] for name, column in columns.items()})
        for k in range(n_paths)
    ]


RELAXATION = FairPaths
