"""Zero-cost proxies: guesses of a network's worth from the untrained network and one batch."""

from lightning_modules.proxies._activations import jacob_cov
from lightning_modules.proxies._activations import naswot
from lightning_modules.proxies._evaluator import ProxyEvaluator
from lightning_modules.proxies._gradients import fisher
from lightning_modules.proxies._gradients import grad_norm
from lightning_modules.proxies._gradients import grasp
from lightning_modules.proxies._gradients import snip
from lightning_modules.proxies._registry import compute_proxies
from lightning_modules.proxies._registry import PROXIES
from lightning_modules.proxies._registry import Proxy
from lightning_modules.proxies._synflow import synflow
from lightning_modules.proxies._vote import rank_aggregate
from lightning_modules.proxies._vote import vote
from lightning_modules.proxies._vote import vote_aggregate
from lightning_modules.proxies._zen import zen


__all__ = [
    "PROXIES",
    "Proxy",
    "ProxyEvaluator",
    "compute_proxies",
    "fisher",
    "grad_norm",
    "grasp",
    "jacob_cov",
    "naswot",
    "rank_aggregate",
    "snip",
    "synflow",
    "vote",
    "vote_aggregate",
    "zen",
]
