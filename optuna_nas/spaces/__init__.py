"""Search spaces: ordered decisions with their conditions, and the architectures in them."""

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._choices import choice_at
from optuna_nas.spaces._choices import choices_of
from optuna_nas.spaces._choices import default_choice
from optuna_nas.spaces._choices import index_of
from optuna_nas.spaces._choices import is_countable
from optuna_nas.spaces._choices import n_choices
from optuna_nas.spaces._space import SearchSpace
from optuna_nas.spaces._sub_space import SubSpace
from optuna_nas.spaces.cell import CellSpace
from optuna_nas.spaces.cell import NAS_BENCH_201_OPERATIONS
from optuna_nas.spaces.chain import chain_layers
from optuna_nas.spaces.chain import ChainSpace
from optuna_nas.spaces.custom import CustomSpace
from optuna_nas.spaces.darts import AMOEBANET_A
from optuna_nas.spaces.darts import darts_cells
from optuna_nas.spaces.darts import DARTS_OPERATIONS
from optuna_nas.spaces.darts import DARTS_V2
from optuna_nas.spaces.darts import DartsCellGenotype
from optuna_nas.spaces.darts import DartsSpace
from optuna_nas.spaces.darts import NASNET_A
from optuna_nas.spaces.darts import NASNET_OPERATIONS
from optuna_nas.spaces.mobile import EFFICIENTNET_B0
from optuna_nas.spaces.mobile import EFFICIENTNET_SCALING
from optuna_nas.spaces.mobile import FBNET_C
from optuna_nas.spaces.mobile import MOBILE_ACTIVATIONS
from optuna_nas.spaces.mobile import mobile_plan
from optuna_nas.spaces.mobile import MOBILE_STYLES
from optuna_nas.spaces.mobile import MobileBlock
from optuna_nas.spaces.mobile import MOBILENET_V3_LARGE
from optuna_nas.spaces.mobile import MobilePlan
from optuna_nas.spaces.mobile import MobileSpace
from optuna_nas.spaces.mobile import MobileStage
from optuna_nas.spaces.mobile import scaled_depth
from optuna_nas.spaces.tabular import TabularSpace


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
    "TabularSpace",
    "chain_layers",
    "choice_at",
    "choices_of",
    "darts_cells",
    "default_choice",
    "index_of",
    "is_countable",
    "mobile_plan",
    "n_choices",
    "scaled_depth",
]
