"""The cells of NASNet and DARTS: two inputs for each node, one cell normal and one reducing."""

from optuna_nas.spaces.darts._genotype import darts_cells
from optuna_nas.spaces.darts._genotype import DartsCellGenotype
from optuna_nas.spaces.darts._published import AMOEBANET_A
from optuna_nas.spaces.darts._published import DARTS_OPERATIONS
from optuna_nas.spaces.darts._published import DARTS_V2
from optuna_nas.spaces.darts._published import NASNET_A
from optuna_nas.spaces.darts._published import NASNET_OPERATIONS
from optuna_nas.spaces.darts._space import DartsSpace


__all__ = [
    "AMOEBANET_A",
    "DARTS_OPERATIONS",
    "DARTS_V2",
    "DartsCellGenotype",
    "DartsSpace",
    "NASNET_A",
    "NASNET_OPERATIONS",
    "darts_cells",
]
