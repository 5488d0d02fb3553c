"""A prior from scored architectures: what each choice adds to the rank, on average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from optuna_nas._additive_model import ridge_effects
from optuna_nas.prior._prior import Prior
from optuna_nas.prior._scored import check_scores
from optuna_nas.prior._scored import indicators
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


def prior_from_scores(
    space: SearchSpace,
    architectures: Sequence[Architecture],
    scores: Sequence[float],
    *,
    temperature: float = 0.02,
    floor: float = 0.1,
) -> Prior:
    """Fit the main effects of the choices to scores, and turn them into probabilities.

    The ranks of the scores, scaled to [0, 1], are fitted by a sum of one effect for each choice of
    each active decision (a linear model without interactions, by ridge regression). The most
    likely architecture of the prior is the best one of that model, which is less subject to the
    noise of single scores than the best one that was scored.

    Args:
        space: The search space.
        architectures: Members of it, at least 2; best drawn so that all choices appear equally.
        scores: Higher is better, e.g. what a supernet says of its paths, or a zero-cost proxy.
            Only their order counts.
        temperature: By how much of the rank, in [0, 1], an effect must be larger to make a choice
            e times as likely; above 0.
        floor: That of :class:`Prior`.

    Raises:
        ValueError: If there are fewer than 2 architectures, not as many scores, a score is NaN or
            ``temperature`` is not above 0.

    Example:

        >>> from optuna_nas import CellSpace
        >>> space, rng = CellSpace(), np.random.default_rng(0)
        >>> cells = [space.sample(rng) for _ in range(100)]
        >>> convs = [list(cell.values()).count("nor_conv_3x3") for cell in cells]
        >>> set(prior_from_scores(space, cells, convs).most_likely().values())
        {'nor_conv_3x3'}
    """
    check_scores(architectures, scores, least=2)
    if not temperature > 0:
        raise ValueError(f"Expected argument `temperature` to be above 0 but got {temperature}.")
    taken = indicators(space, architectures)
    design = np.hstack(list(taken.values()))
    ranks = (rankdata(scores) - 0.5) / len(scores)
    centred = design - design.mean(axis=0)
    effects = ridge_effects(centred, ranks)
    ends = np.cumsum([block.shape[1] for block in taken.values()])
    probabilities = {
        name: np.exp((own - own.max()) / temperature)
        for name, own in zip(taken, np.split(effects, ends[:-1]), strict=True)
    }
    return Prior(space, probabilities, floor=floor)
