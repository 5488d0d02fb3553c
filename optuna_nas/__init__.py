"""Neural architecture search inside an ordinary Optuna study."""

from optuna_nas.evaluation import Evaluation
from optuna_nas.evaluation import Evaluator
from optuna_nas.objective import ArchitectureObjective
from optuna_nas.search_space import Architecture
from optuna_nas.search_space import CellSpace
from optuna_nas.search_space import ChainSpace
from optuna_nas.search_space import CustomSpace
from optuna_nas.search_space import SearchSpace


__all__ = [
    "Architecture",
    "ArchitectureObjective",
    "CellSpace",
    "ChainSpace",
    "CustomSpace",
    "Evaluation",
    "Evaluator",
    "SearchSpace",
]
