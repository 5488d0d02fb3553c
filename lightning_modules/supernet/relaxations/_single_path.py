"""Training of sampled paths: uniform (SPOS) and strictly fair (FairNAS)."""

from __future__ import annotations

from lightning_modules.latency_terms import choices_of
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import PathRelaxation
from lightning_modules.supernet.relaxations._base import Step
from optuna_nas import Architecture
from optuna_nas.search_space import Choice


class SinglePath(PathRelaxation):
    """One path a step, drawn uniformly from the space (Guo et al., ECCV 2020, section 3.2).

    It is uniform over the architectures, so that in a space of variable depth deep ones, of which
    there are more, are drawn more often.
    """

    name = "spos"

    def architectures(self, supernet: Supernet, step: Step) -> list[Architecture]:
        """Return one architecture."""
        return [supernet.space.sample(self.rng(step, 0))]


class FairPaths(PathRelaxation):
    """As many paths a step as there are choices, so that each choice is trained once.

    Strict fairness of FairNAS (Chu et al., ICCV 2021, section 3.1): the choices of each decision
    are permuted, path k takes the k-th of each, and the gradients of all paths are added up before
    the weights change. Where a decision has fewer choices than the one with most, its permutation
    begins anew.
    """

    name = "fairnas"

    def architectures(self, supernet: Supernet, step: Step) -> list[Architecture]:
        """Return the architectures of the permutations."""
        space, rng = supernet.space, self.rng(step, 0)
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
