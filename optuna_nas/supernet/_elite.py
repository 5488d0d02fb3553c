"""A prior from the best of scored architectures: how often each choice appears among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.search_space import _choices
from optuna_nas.search_space import Architecture
from optuna_nas.search_space import SearchSpace
from optuna_nas.supernet._prior import Prior


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
    if not architectures or len(architectures) != len(scores):
        raise ValueError(
            "Expected arguments `architectures` and `scores` to be as many, at least 1, but got "
            f"{len(architectures)} and {len(scores)}."
        )
    if np.isnan(scores).any():
        raise ValueError("Expected argument `scores` to be numbers but got NaN.")
    if n_elite < 1:
        raise ValueError(f"Expected argument `n_elite` to be at least 1 but got {n_elite}.")
    if not smoothing > 0:
        raise ValueError(f"Expected argument `smoothing` to be above 0 but got {smoothing}.")
    counts = {
        name: np.full(_choices.n_choices(distribution), smoothing)
        for name, distribution in space.distributions.items()
    }
    order = np.argsort(-np.asarray(scores, dtype=float), kind="stable")
    for position in order[:n_elite]:
        for name, choice in space.require_member(architectures[position]).items():
            found = _choices.index_of(space.distributions[name], choice)
            assert found is not None
            counts[name][found] += 1
    return Prior(space, counts, floor=floor)
