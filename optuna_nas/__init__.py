"""Neural architecture search inside an ordinary Optuna study."""

from optuna_nas.constraints import Constraint
from optuna_nas.evaluation import Evaluation
from optuna_nas.evaluation import Evaluator
from optuna_nas.objective import ArchitectureObjective
from optuna_nas.samplers import GeneticSampler
from optuna_nas.samplers import LocalSearchSampler
from optuna_nas.samplers import RandomArchitectureSampler
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.samplers import ScreeningSampler
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import CellSpace
from optuna_nas.spaces import ChainSpace
from optuna_nas.spaces import CustomSpace
from optuna_nas.spaces import DartsSpace
from optuna_nas.spaces import MobileSpace
from optuna_nas.spaces import SearchSpace
from optuna_nas.studies.enqueue import enqueue_best
from optuna_nas.studies.exhaustion import StopWhenExhausted
from optuna_nas.tracking import MLflowTracker


__all__ = [
    "Architecture",
    "ArchitectureObjective",
    "CellSpace",
    "ChainSpace",
    "Constraint",
    "CustomSpace",
    "DartsSpace",
    "Evaluation",
    "Evaluator",
    "GeneticSampler",
    "LocalSearchSampler",
    "MLflowTracker",
    "MobileSpace",
    "RandomArchitectureSampler",
    "RegularizedEvolutionSampler",
    "ScreeningSampler",
    "SearchSpace",
    "StopWhenExhausted",
    "enqueue_best",
]
