"""Ways to train a supernet. One file is one way."""

from lightning_modules.registries import RELAXATIONS
from lightning_modules.supernet.relaxations._base import LogitRelaxation
from lightning_modules.supernet.relaxations._base import PathRelaxation
from lightning_modules.supernet.relaxations._base import Relaxation
from lightning_modules.supernet.relaxations._base import Samples
from lightning_modules.supernet.relaxations._base import Step
from lightning_modules.supernet.relaxations._costs import CostFactor
from lightning_modules.supernet.relaxations._costs import LatencyFactor
from lightning_modules.supernet.relaxations.darts import Darts
from lightning_modules.supernet.relaxations.darts_second_order import SecondOrderDarts
from lightning_modules.supernet.relaxations.enas import Enas
from lightning_modules.supernet.relaxations.fairnas import fair_architectures
from lightning_modules.supernet.relaxations.fairnas import FairPaths
from lightning_modules.supernet.relaxations.fbnet import FBNet
from lightning_modules.supernet.relaxations.gdas import Gdas
from lightning_modules.supernet.relaxations.ofa import ProgressiveShrinking
from lightning_modules.supernet.relaxations.pcdarts import PartialChannels
from lightning_modules.supernet.relaxations.spos import SinglePath


__all__ = [
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
    "Samples",
    "SecondOrderDarts",
    "SinglePath",
    "Step",
    "fair_architectures",
]
