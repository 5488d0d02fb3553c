"""What priors from scored architectures share: the check of scores, and choices as indicators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.spaces import Architecture
from optuna_nas.spaces import index_of
from optuna_nas.spaces import n_choices
from optuna_nas.spaces import SearchSpace


def check_scores(
    architectures: Sequence[Architecture], scores: Sequence[float], *, least: int
) -> None:
    """Raise a ValueError if there are fewer than ``least``, not as many, or a score is NaN."""
    if len(architectures) < least or len(architectures) != len(scores):
        raise ValueError(
            f"Expected arguments `architectures` and `scores` to be as many, at least {least}, "
            f"but got {len(architectures)} and {len(scores)}."
        )
    if np.isnan(scores).any():
        raise ValueError("Expected argument `scores` to be numbers but got NaN.")


def indicators(space: SearchSpace, architectures: Sequence[Architecture]) -> dict[str, np.ndarray]:
    """Return which choice of each decision the architectures take.

    Returns:
        For each decision 0 and 1, of shape ``(n_architectures, n_choices)``; a row of zeros where
        the decision is inactive.

    Raises:
        ValueError: If an architecture is no member of ``space``.
    """
    blocks = {
        name: np.zeros((len(architectures), n_choices(distribution)))
        for name, distribution in space.distributions.items()
    }
    for row, architecture in enumerate(architectures):
        for name, choice in space.require_member(architecture).items():
            found = index_of(space.distributions[name], choice)
            assert found is not None
            blocks[name][row, found] = 1
    return blocks
