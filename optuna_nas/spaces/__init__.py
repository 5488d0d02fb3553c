"""Search spaces: ordered decisions with their conditions, and the architectures in them."""

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._space import SearchSpace
from optuna_nas.spaces._sub_space import SubSpace
from optuna_nas.spaces.cell import CellSpace
from optuna_nas.spaces.cell import NAS_BENCH_201_OPERATIONS
from optuna_nas.spaces.chain import chain_layers
from optuna_nas.spaces.chain import ChainSpace
from optuna_nas.spaces.custom import CustomSpace
from optuna_nas.spaces.darts._genotype import darts_cells
from optuna_nas.spaces.darts._genotype import DartsCellGenotype
from optuna_nas.spaces.darts._published import AMOEBANET_A
from optuna_nas.spaces.darts._published import DARTS_OPERATIONS
from optuna_nas.spaces.darts._published import DARTS_V2
from optuna_nas.spaces.darts._published import NASNET_A
from optuna_nas.spaces.darts._published import NASNET_OPERATIONS
from optuna_nas.spaces.darts._space import DartsSpace
from optuna_nas.spaces.mobile._plan import mobile_plan
from optuna_nas.spaces.mobile._plan import MobileBlock
from optuna_nas.spaces.mobile._plan import MobilePlan
from optuna_nas.spaces.mobile._plan import scaled_depth
from optuna_nas.spaces.mobile._published import EFFICIENTNET_B0
from optuna_nas.spaces.mobile._published import EFFICIENTNET_SCALING
from optuna_nas.spaces.mobile._published import FBNET_C
from optuna_nas.spaces.mobile._published import MOBILENET_V3_LARGE
from optuna_nas.spaces.mobile._space import MobileSpace
from optuna_nas.spaces.mobile._stage import MOBILE_ACTIVATIONS
from optuna_nas.spaces.mobile._stage import MOBILE_STYLES
from optuna_nas.spaces.mobile._stage import MobileStage


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
    "EFFICIENTNET_B0",
    "EFFICIENTNET_SCALING",
    "FBNET_C",
    "MOBILENET_V3_LARGE",
    "MOBILE_ACTIVATIONS",
    "MOBILE_STYLES",
    "MobileBlock",
    "MobilePlan",
    "MobileSpace",
    "MobileStage",
    "NASNET_A",
    "NASNET_OPERATIONS",
    "NAS_BENCH_201_OPERATIONS",
    "SearchSpace",
    "SubSpace",
    "chain_layers",
    "darts_cells",
    "mobile_plan",
    "scaled_depth",
]
