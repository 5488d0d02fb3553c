"""Neural architecture search inside an ordinary Optuna study."""

from optuna_nas.evaluation import Evaluation
from optuna_nas.search_space import Architecture
from optuna_nas.search_space import CellSpace
from optuna_nas.search_space import ChainSpace
from optuna_nas.search_space import CustomSpace
from optuna_nas.search_space import SearchSpace
