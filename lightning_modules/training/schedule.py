"""Learning rate schedules of a training, by name."""

from __future__ import annotations

import math


SCHEDULES = ("one_cycle", "cosine", "constant")
"""Names of the learning rate schedules of :class:`~lightning_modules.TaskModule`."""

_WARM_UP = 0.3
_INITIAL_FACTOR = 0.04


def learning_rate_factor(schedule: str, progress: float) -> float:
    """Return what the largest learning rate is multiplied with.

    Args:
        schedule: ``"one_cycle"`` rises linearly from 0.04 to 1 over the first 30% and falls to 0
            along half a cosine (Smith & Topin 2019, arXiv:1708.07120, without its momentum cycle);
            ``"cosine"`` falls from 1 to 0 (Loshchilov & Hutter, ICLR 2017, equation 5, no
            restarts); ``"constant"`` is 1.
        progress: The part of the training steps that is done, in [0, 1].

    Returns:
        The factor, in [0, 1].

    Raises:
        ValueError: If ``schedule`` is unknown.

    Example:

        >>> [round(learning_rate_factor("one_cycle", p), 2) for p in (0, 0.15, 0.3, 0.65, 1)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    check_name("schedule", schedule, SCHEDULES)
    if schedule == "constant":
        return 1.0
    if schedule == "one_cycle":
        if progress < _WARM_UP:
            return _INITIAL_FACTOR + (1 - _INITIAL_FACTOR) * progress / _WARM_UP
        progress = (progress - _WARM_UP) / (1 - _WARM_UP)
    return (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def check_name(argument: str, value: str, names: tuple[str, ...]) -> None:
    """Raise a ValueError unless a value is one of some names."""
    if value not in names:
        raise ValueError(
            f"Expected argument `{argument}` to be one of {list(names)} but got {value!r}."
        )
