"""The space around MobileNetV3-Large (Howard et al., ICCV 2019), of mobile networks."""

from dataclasses import replace

from lightning_modules.spaces import mobile
from optuna_nas.spaces import MobileSpace


KIT = replace(mobile.KIT, make_space=MobileSpace.mobilenet_v3)
