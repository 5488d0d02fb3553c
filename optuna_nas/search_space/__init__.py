"""Search spaces: ordered decisions with their conditions, and the architectures in them."""

from optuna_nas.search_space._architecture import Architecture
from optuna_nas.search_space._architecture import Choice
from optuna_nas.search_space._cell import CellSpace
from optuna_nas.search_space._cell import NAS_BENCH_201_OPERATIONS
from optuna_nas.search_space._chain import chain_layers
from optuna_nas.search_space._chain import ChainSpace
from optuna_nas.search_space._custom import CustomSpace
from optuna_nas.search_space._space import SearchSpace


__all__ = [
    "Architecture",
    "CellSpace",
    "ChainSpace",
    "Choice",
    "CustomSpace",
    "NAS_BENCH_201_OPERATIONS",
    "SearchSpace",
    "chain_layers",
]
