"""Ways to train a supernet, by name."""

from lightning_modules.supernet.relaxations._base import Batch
from lightning_modules.supernet.relaxations._base import LogitRelaxation
from lightning_modules.supernet.relaxations._base import PathRelaxation
from lightning_modules.supernet.relaxations._base import Relaxation
from lightning_modules.supernet.relaxations._base import Step
from lightning_modules.supernet.relaxations._costs import CostFactor
from lightning_modules.supernet.relaxations._costs import LatencyFactor
from lightning_modules.supernet.relaxations._gumbel import FBNet
from lightning_modules.supernet.relaxations._gumbel import Gdas
from lightning_modules.supernet.relaxations._single_path import fair_architectures
from lightning_modules.supernet.relaxations._single_path import FairPaths
from lightning_modules.supernet.relaxations._single_path import SinglePath
from lightning_modules.supernet.relaxations.darts import Darts
from lightning_modules.supernet.relaxations.darts_second_order import SecondOrderDarts
from lightning_modules.supernet.relaxations.enas import Enas
from lightning_modules.supernet.relaxations.ofa import ProgressiveShrinking
from lightning_modules.supernet.relaxations.pcdarts import PartialChannels


__all__ = [
    "Batch",
    "CostFactor",
    "Darts",
    "Enas",
    "FBNet",
    "FairPaths",
    "Gdas",
    "LatencyFactor",
    "LogitRelaxation",
    "PartialChannels",
    "PathRelaxation",
    "ProgressiveShrinking",
    "RELAXATIONS",
    "Relaxation",
    "SecondOrderDarts",
    "SinglePath",
    "Step",
    "fair_architectures",
    "find_relaxation",
]

RELAXATIONS: dict[str, type[Relaxation]] = {
    relaxation.name: relaxation
    for relaxation in (
        Gdas,
        Darts,
        SecondOrderDarts,
        FBNet,
        PartialChannels,
        SinglePath,
        FairPaths,
        Enas,
        ProgressiveShrinking,
    )
}
"""Relaxations by their names on the command line; one of your own can be added."""


def find_relaxation(name: str) -> type[Relaxation]:
    """Return the relaxation with a name of :data:`RELAXATIONS`.

    Raises:
        ValueError: If there is none.
    """
    if name not in RELAXATIONS:
        raise ValueError(
            f"Expected argument `relaxation` to be one of {list(RELAXATIONS)} but got {name!r}."
        )
    return RELAXATIONS[name]
