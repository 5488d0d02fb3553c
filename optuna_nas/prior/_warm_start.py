"""A study that begins with what a prior thinks likely, whatever its sampler."""

from __future__ import annotations

import numpy as np
import optuna

from optuna_nas.prior._prior import Prior
from optuna_nas.samplers.core import History
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


_TRIES = 50


def warm_start(
    study: optuna.Study, space: SearchSpace, prior: Prior, n: int, *, seed: int | None = None
) -> list[Architecture]:
    """Enqueue the most likely architecture, and samples of the prior.

    It works for every sampler, also for Optuna's. None of the architectures has the canonical key
    of another or of a trial that the study has, finished or not; so a repeated call adds others.

    Args:
        study: The study.
        space: The space from which its objective suggests.
        prior: Probabilities of the choices.
        n: Number of architectures, at least 1.
        seed: Seed of the samples.

    Returns:
        The architectures, in their order; fewer if the prior is so narrow that no new one is found
        within 50 draws for each.

    Raises:
        ValueError: If ``n`` is less than 1 or ``prior`` does not fit ``space``.

    Example:

        >>> from optuna_nas import CellSpace
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space, study = CellSpace(), optuna.create_study()
        >>> prior = Prior(space, {"edge_0_3": [0, 0, 0, 1, 0]})
        >>> [architecture["edge_0_3"] for architecture in warm_start(study, space, prior, 1)]
        ['nor_conv_3x3']
        >>> study.optimize(lambda trial: len(space.suggest(trial)), n_trials=1)
        >>> study.trials[0].params["edge_0_3"]
        'nor_conv_3x3'
    """
    if n < 1:
        raise ValueError(f"Expected argument `n` to be at least 1 but got {n}.")
    prior.require_fit(space)
    rng = np.random.default_rng(seed)
    history = History.of(study, space)
    found: dict[object, Architecture] = {}
    candidates = (prior.most_likely() if i == 0 else prior.sample(rng) for i in range(_TRIES * n))
    for architecture in candidates:
        key = history.key(architecture)
        if key in found or history.is_taken(architecture, key):
            continue
        found[key] = architecture
        study.enqueue_trial(dict(architecture))
        if len(found) == n:
            break
    return list(found.values())
