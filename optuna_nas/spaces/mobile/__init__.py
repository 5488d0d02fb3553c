"""Stages of inverted bottlenecks: the spaces of FBNet, MobileNetV3 and EfficientNet."""

from optuna_nas.spaces.mobile._plan import mobile_plan
from optuna_nas.spaces.mobile._plan import MobileBlock
from optuna_nas.spaces.mobile._plan import MobilePlan
from optuna_nas.spaces.mobile._plan import round_width
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
    "mobile_plan",
    "round_width",
    "scaled_depth",
]
