"""A prior from scored architectures: what each choice adds to the rank, on average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from optuna_nas.search_space import _choices
from optuna_nas.search_space import Architecture
from optuna_nas.search_space import SearchSpace
from optuna_nas.supernet._prior import Prior


_RIDGE = 1.0


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
    each active decision (a linear model without interactions, by ridge regression: Hoerl &
    Kennard, Technometrics 1970). The most likely architecture of the prior is the best one of that
    model, which is less subject to the noise of single scores than the best one that was scored.

    Args:
        space: The search space.
        architectures: Members of it, at least 2; best drawn so that all choices appear equally.
        scores: Higher is better, e.g. accuracies with the weights of a supernet, or a zero-cost
            proxy. Only their order counts.
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
    if len(architectures) < 2 or len(architectures) != len(scores):
        raise ValueError(
            "Expected arguments `architectures` and `scores` to be as many, at least 2, but got "
            f"{len(architectures)} and {len(scores)}."
        )
    if np.isnan(scores).any():
        raise ValueError("Expected argument `scores` to be numbers but got NaN.")
    if not temperature > 0:
        raise ValueError(f"Expected argument `temperature` to be above 0 but got {temperature}.")
    columns: dict[tuple[str, int], int] = {}
    for name, distribution in space.distributions.items():
        for index in range(_choices.n_choices(distribution)):
            columns[name, index] = len(columns)
    design = np.zeros((len(architectures), len(columns)))
    for row, architecture in enumerate(architectures):
        for name, choice in space.require_member(architecture).items():
            found = _choices.index_of(space.distributions[name], choice)
            assert found is not None
            design[row, columns[name, found]] = 1
    ranks = (rankdata(scores) - 0.5) / len(scores)
    centred = design - design.mean(axis=0)
    gram = centred.T @ centred + _RIDGE * np.eye(len(columns))
    effects = np.linalg.solve(gram, centred.T @ (ranks - ranks.mean()))
    probabilities: dict[str, np.ndarray] = {}
    for name, distribution in space.distributions.items():
        own = effects[[columns[name, i] for i in range(_choices.n_choices(distribution))]]
        probabilities[name] = np.exp((own - own.max()) / temperature)
    return Prior(space, probabilities, floor=floor)
