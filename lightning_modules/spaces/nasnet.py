"""The space of NASNet (Zoph et al., CVPR 2018), with the networks of DARTS."""

from dataclasses import replace

from lightning_modules.spaces import darts
from optuna_nas.spaces import DartsSpace


KIT = replace(darts.KIT, make_space=DartsSpace.nasnet)
