"""Search spaces: ordered decisions with their conditions, and the architectures in them."""

from optuna_nas.search_space._architecture import Architecture
from optuna_nas.search_space._architecture import Choice
from optuna_nas.search_space._cell import CellSpace
from optuna_nas.search_space._cell import NAS_BENCH_201_OPERATIONS
from optuna_nas.search_space._chain import chain_layers
from optuna_nas.search_space._chain import ChainSpace
from optuna_nas.search_space._custom import CustomSpace
from optuna_nas.search_space._darts import DartsSpace
from optuna_nas.search_space._darts_genotype import darts_cells
from optuna_nas.search_space._darts_genotype import DartsCellGenotype
from optuna_nas.search_space._darts_published import AMOEBANET_A
from optuna_nas.search_space._darts_published import DARTS_OPERATIONS
from optuna_nas.search_space._darts_published import DARTS_V2
from optuna_nas.search_space._darts_published import NASNET_A
from optuna_nas.search_space._darts_published import NASNET_OPERATIONS
from optuna_nas.search_space._frozen import FrozenSpace
from optuna_nas.search_space._space import SearchSpace


__all__ = [
    "AMOEBANET_A",
    "Architecture",
    "CellSpace",
    "ChainSpace",
    "Choice",
    "CustomSpace",
    "DARTS_OPERATIONS",
    "DARTS_V2",
    "DartsCellGenotype",
    "DartsSpace",
    "FrozenSpace",
    "NASNET_A",
    "NASNET_OPERATIONS",
    "NAS_BENCH_201_OPERATIONS",
    "SearchSpace",
    "chain_layers",
    "darts_cells",
]
