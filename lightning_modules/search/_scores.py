"""The score by which proposals are screened: one proxy, or the mean rank of several."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from lightning_modules.proxies import ProxyEvaluator
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


_N_REFERENCES = 64
"""Random architectures among which several proxies rank those of a search."""


def proxy_score(
    evaluator: ProxyEvaluator, names: Sequence[str], space: SearchSpace, seed: int
) -> Callable[[Architecture], float]:
    """Return the score of architectures, higher is better.

    Args:
        evaluator: Knows the proxies.
        names: Names of proxies.
        space: Where the references of several proxies are drawn from.
        seed: Seed of that draw.
    """
    if len(names) == 1:
        return evaluator.score(names[0])
    rng = np.random.default_rng(seed)
    return evaluator.rank_score(names, [space.sample(rng) for _ in range(_N_REFERENCES)])
