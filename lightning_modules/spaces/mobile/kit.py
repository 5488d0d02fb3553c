"""All that belongs to the space of mobile networks."""

from functools import partial

from lightning_modules.spaces._kit import Kit
from lightning_modules.spaces.mobile.latency import latency_terms
from lightning_modules.spaces.mobile.network import build_mobile_backbone
from lightning_modules.spaces.mobile.supernet import MobileSupernet
from optuna_nas.spaces import MobileSpace


KIT = Kit(
    # The small space with a stem of stride 2, which trains on a CPU in minutes.
    partial(MobileSpace.small, input_size=64),
    build_mobile_backbone,
    latency_terms=latency_terms,
    supernet=MobileSupernet,
    marks="|stem",
)
