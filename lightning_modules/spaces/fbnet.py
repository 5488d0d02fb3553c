"""The space of FBNet (Wu et al., CVPR 2019), of mobile networks."""

from dataclasses import replace

from lightning_modules.spaces import mobile
from optuna_nas.spaces import MobileSpace


KIT = replace(mobile.KIT, make_space=MobileSpace.fbnet)
