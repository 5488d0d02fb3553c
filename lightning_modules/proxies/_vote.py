"""One opinion out of those of several proxies: mean of ranks, and votes of the majority."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata


def rank_aggregate(scores: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Return the mean over proxies of the ranks that they give the architectures.

    Ranks count from 1, the worst, and equal scores share the mean of their ranks. So no proxy
    outweighs another by its units.

    Args:
        scores: For each proxy the scores of the same n architectures, higher is better; minus
            infinity is allowed.

    Returns:
        Shape (n,), in [1, n], higher is better.

    Raises:
        ValueError: If there are no scores, their numbers differ, or one is NaN.

    Example:

        >>> rank_aggregate({"synflow": [1e20, 1e30, 1e10], "naswot": [1.5, 1.4, 1.3]})
        array([2.5, 2.5, 1. ])
    """
    return np.asarray(rankdata(_table(scores), axis=1).mean(axis=0))


def vote(first: Mapping[str, float], second: Mapping[str, float]) -> int:
    """Return which of two architectures most proxies prefer.

    A proxy that scores both the same abstains. The best vote of Abdelfattah et al., "Zero-cost
    proxies for lightweight NAS", ICLR 2021, section 3.2, is that of ``synflow``, ``jacob_cov`` and
    ``snip``.

    Args:
        first: The first architecture's scores by proxy, higher is better.
        second: The second's, of the same proxies.

    Returns:
        1 if the majority is for the first, -1 if it is for the second, 0 if the votes are equal.

    Raises:
        ValueError: If there are no scores, the proxies differ, or a score is NaN.

    Example:

        >>> vote(
        ...     {"synflow": 1e30, "jacob_cov": -70.0, "snip": 9.0},
        ...     {"synflow": 1e20, "jacob_cov": -90.0, "snip": 11.0},
        ... )
        1
    """
    if first.keys() != second.keys():
        raise ValueError(
            f"Expected argument `second` to have scores of the proxies {list(first)} "
            f"but got {list(second)}."
        )
    table = _table({name: [first[name], second[name]] for name in first})
    return int(np.sign(sum(_preferences(row)[0, 1] for row in table)))


def vote_aggregate(scores: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Return by how many :func:`vote` each architecture wins more than it loses to the others.

    Args:
        scores: For each proxy the scores of the same n architectures, higher is better; minus
            infinity is allowed. Takes memory of the order of n^2.

    Returns:
        Whole numbers of shape (n,), in [1 - n, n - 1], higher is better.

    Raises:
        ValueError: If there are no scores, their numbers differ, or one is NaN.

    Example:

        >>> vote_aggregate({"a": [3, 1, 2], "b": [1, 2, 3], "c": [3, 2, 1]})
        array([ 2, -2,  0])
    """
    votes = sum(_preferences(row) for row in _table(scores))
    return np.asarray(np.sign(votes).sum(axis=1))


def _table(scores: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Return the scores, of shape (proxies, n)."""
    lengths = {name: len(values) for name, values in scores.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(
            "Expected argument `scores` to have the same number of scores, at least one, for each "
            f"proxy but got {lengths}."
        )
    table = np.array([list(values) for values in scores.values()], dtype=np.float64)
    if np.isnan(table).any():
        names = [name for name, row in zip(scores, table, strict=True) if np.isnan(row).any()]
        raise ValueError(f"Expected argument `scores` to be without NaN but got some of {names}.")
    return table


def _preferences(row: np.ndarray) -> np.ndarray:
    """Return 1 where the architecture of the row is better than that of the column, -1, or 0."""
    return np.asarray(np.greater.outer(row, row).astype(np.int64) - np.less.outer(row, row))
