"""From one stage of a search to the next: the best trials of a study, evaluated again."""

from __future__ import annotations

import optuna

from optuna_nas.samplers.core._history import History
from optuna_nas.samplers.core._population import Population
from optuna_nas.spaces import SearchSpace


PROMOTED_FROM = "promoted_from"
"""Trial user attribute: name of the study and number of the trial that were promoted."""


def enqueue_best(
    study: optuna.Study, source: optuna.Study, n: int, *, space: SearchSpace | None = None
) -> list[int]:
    """Enqueue the best trials of another study, e.g. to train their networks for longer.

    The best are the feasible ones with the best values; with several objectives those of the first
    non-dominated fronts, least crowded first (Deb et al., A fast and elitist multiobjective
    genetic algorithm: NSGA-II, 2002, section III). What ``study`` has already, finished or
    waiting, is not enqueued again, so a repeated call adds nothing.

    Args:
        study: Where to enqueue. The trials have the attribute :data:`PROMOTED_FROM`.
        source: A study over the same parameters, e.g. with fewer epochs.
        n: Largest number of trials to take from ``source``, at least 1.
        space: If given, of several architectures with one canonical key the best is taken, and
            trials that are not of this space are left out.

    Returns:
        Numbers of the trials of ``source``, best first, those that ``study`` had included.

    Raises:
        ValueError: If ``n`` is less than 1.

    Example:

        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> short, long = optuna.create_study(), optuna.create_study()
        >>> short.optimize(lambda trial: (trial.suggest_int("width", 1, 50) - 7) ** 2, n_trials=50)
        >>> best = enqueue_best(long, short, 3)
        >>> long.optimize(lambda trial: trial.suggest_int("width", 1, 50), n_trials=1)
        >>> best[0] == short.best_trial.number, long.best_params == short.best_params
        (True, True)
    """
    if n < 1:
        raise ValueError(f"Expected argument `n` to be at least 1 but got {n}.")
    own = History.of(study, space)
    promoted: dict[object, int] = {}
    for individual in Population(History.of(source, space).individuals):
        if len(promoted) == n or individual.violation > 0:
            break
        if individual.key in promoted:
            continue
        promoted[individual.key] = individual.number
        if not own.is_taken(individual.params):
            study.enqueue_trial(
                individual.params,
                user_attrs={PROMOTED_FROM: [source.study_name, individual.number]},
            )
    return list(promoted.values())
