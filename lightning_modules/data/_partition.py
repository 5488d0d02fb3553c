"""Fixed splits, stratified by class: the same on every machine and for every seed of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_modules.data._error import DataError


TRAIN_VALIDATION_TEST = (0.6, 0.2, 0.2)
"""Fractions of the split of data that comes without an official one."""
TRAIN_VALIDATION = (0.8, 0.2)
"""Fractions of the split of data that comes with an official test split only."""

_SPLIT_SEED = 20240517

Indices = npt.NDArray[np.int64]


def fixed_split(
    targets: npt.NDArray[Any], fractions: Sequence[float], class_names: Sequence[str]
) -> list[Indices]:
    """Split samples into parts that hold each class in the same proportion.

    Args:
        targets: Class indices of shape ``(n,)``, each in ``[0, len(class_names))``, or values of
            shape ``(n,)`` or ``(n, k)``, which are split at random as one class would be.
        fractions: Fraction of each part, positive with sum 1. Within a class every part after the
            first gets its rounded share and at least one sample; the first part gets the rest.
        class_names: Names of the classes, for the error message; none for values.

    Returns:
        One sorted array of indices per part; together they are ``0, ..., n - 1``.

    Raises:
        DataError: If a class has too few samples to put one into every part.
    """
    parts: list[list[Indices]] = [[] for _ in fractions]
    for label, order in enumerate(_shuffled_classes(targets, len(class_names))):
        sizes = [max(1, round(len(order) * fraction)) for fraction in fractions[1:]]
        first = len(order) - sum(sizes)
        if first < 1:
            whose = f" of class {class_names[label]!r}" if class_names else ""
            raise DataError(
                f"Expected at least {len(fractions)} samples{' of every class' * bool(whose)} to "
                f"split the data but got {len(order)}{whose}."
            )
        pieces = np.split(order, np.cumsum([first, *sizes[:-1]]))
        for part, indices in zip(parts, pieces, strict=True):
            part.append(indices)
    return [np.sort(np.concatenate(part)) for part in parts]


def fixed_subset(targets: npt.NDArray[Any], fraction: float, n_classes: int) -> Indices:
    """Choose a fraction of the samples of each class; a larger fraction contains a smaller one.

    Args:
        targets: Class indices of shape ``(n,)``, each in ``[0, n_classes)``, or values of shape
            ``(n,)`` or ``(n, k)``.
        fraction: Fraction of each class in (0, 1], rounded to at least one sample.
        n_classes: Number of classes; those without samples are left out. 0 for values.

    Returns:
        The sorted indices of the chosen samples.
    """
    chosen = [
        order[: max(1, round(len(order) * fraction))]
        for order in _shuffled_classes(targets, n_classes)
    ]
    return np.sort(np.concatenate(chosen))


def _shuffled_classes(targets: npt.NDArray[Any], n_classes: int) -> list[Indices]:
    # RandomState, as NumPy promises its stream to stay the same in all versions to come.
    rng = np.random.RandomState(_SPLIT_SEED)
    if not n_classes:
        return [rng.permutation(len(targets))]
    return [rng.permutation(np.flatnonzero(targets == label)) for label in range(n_classes)]
