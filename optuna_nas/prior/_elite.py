"""A prior from the best of scored architectures: how often each choice appears among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.prior._prior import Prior
from optuna_nas.prior._scored import check_scores
from optuna_nas.prior._scored import indicators
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


def prior_from_elite(
    space: SearchSpace,
    architectures: Sequence[Architecture],
    scores: Sequence[float],
    *,
    n_elite: int = 20,
    smoothing: float = 0.1,
    floor: float = 0.1,
) -> Prior:
    """Count the choices among the best architectures, decision by decision.

    This is the model of the univariate marginal distribution algorithm (Mühlenbein & Paaß, PPSN
    1996, section 4), with truncation selection. Where :func:`prior_from_scores` says what a choice
    is worth on average, this says which choices the best have in common, and in which they differ.
    It is best given architectures of which many were drawn from an earlier prior.

    Args:
        space: The search space.
        architectures: Members of it, at least 1.
        scores: Higher is better. Only their order counts; of equals the earlier is the better.
        n_elite: Number of the best that are counted, at least 1; all if there are fewer.
        smoothing: Added to the count of each choice, above 0.
        floor: That of :class:`Prior`.

    Raises:
        ValueError: If there are no architectures, not as many scores, a score is NaN, or an
            argument is out of its range.

    Example:

        >>> from optuna_nas import CellSpace
        >>> space, rng = CellSpace(), np.random.default_rng(0)
        >>> cells = [space.sample(rng) for _ in range(200)]
        >>> pools = [list(cell.values()).count("avg_pool_3x3") for cell in cells]
        >>> set(prior_from_elite(space, cells, pools, n_elite=10).most_likely().values())
        {'avg_pool_3x3'}
    """
    check_scores(architectures, scores, least=1)
    if n_elite < 1:
        raise ValueError(f"Expected argument `n_elite` to be at least 1 but got {n_elite}.")
    if not smoothing > 0:
        raise ValueError(f"Expected argument `smoothing` to be above 0 but got {smoothing}.")
    order = np.argsort(-np.asarray(scores, dtype=float), kind="stable")
    taken = indicators(space, [architectures[i] for i in order[:n_elite]])
    counts = {name: block.sum(axis=0) + smoothing for name, block in taken.items()}
    return Prior(space, counts, floor=floor)
