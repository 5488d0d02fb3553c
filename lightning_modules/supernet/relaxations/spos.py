"""One path a step, each of its decisions drawn uniformly (SPOS)."""

from __future__ import annotations

from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import PathRelaxation
from lightning_modules.supernet.relaxations._base import Step
from optuna_nas import Architecture
from optuna_nas.prior import Prior


class SinglePath(PathRelaxation):
    """One path a step, each decision drawn uniformly (Guo et al., ECCV 2020, section 3.2).

    Uniform over the decisions and not over the architectures, of which most are deep in a space of
    variable depth.
    """

    epochs = 10

    def architectures(self, supernet: Supernet, step: Step) -> list[Architecture]:
        """Return one architecture."""
        return [Prior(supernet.space, {}).sample(self.rng(step, 0))]


RELAXATION = SinglePath
