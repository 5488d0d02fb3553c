"""Zero-cost proxies: guesses of a network's worth from the untrained network and one batch.

One file is one proxy.
"""

from lightning_modules.proxies._compute import compute_proxies
from lightning_modules.proxies._compute import Proxy
from lightning_modules.proxies._evaluator import ProxyEvaluator
from lightning_modules.proxies._vote import rank_aggregate
from lightning_modules.proxies._vote import vote
from lightning_modules.proxies._vote import vote_aggregate
from lightning_modules.proxies.fisher import fisher
from lightning_modules.proxies.grad_norm import grad_norm
from lightning_modules.proxies.grasp import grasp
from lightning_modules.proxies.jacob_cov import jacob_cov
from lightning_modules.proxies.naswot import naswot
from lightning_modules.proxies.snip import snip
from lightning_modules.proxies.synflow import synflow
from lightning_modules.proxies.zen import zen
from lightning_modules.registries import PROXIES


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
